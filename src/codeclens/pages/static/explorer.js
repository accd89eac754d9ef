// node_modules/svelte/src/internal/shared/utils.js
var e = Array.isArray, t = Array.prototype.indexOf, n = Array.prototype.includes, r = Array.from, i = Object.defineProperty, a = Object.getOwnPropertyDescriptor, o = Object.getOwnPropertyDescriptors, s = Object.prototype, c = Array.prototype, l = Object.getPrototypeOf, u = Object.isExtensible, d = () => {};
function f(e) {
	return typeof e?.then == "function";
}
function p(e) {
	for (var t = 0; t < e.length; t++) e[t]();
}
function m() {
	var e, t;
	return {
		promise: new Promise((n, r) => {
			e = n, t = r;
		}),
		resolve: e,
		reject: t
	};
}
function h(e, t) {
	if (Array.isArray(e)) return e;
	if (t === void 0 || !(Symbol.iterator in e)) return Array.from(e);
	let n = [];
	for (let r of e) if (n.push(r), n.length === t) break;
	return n;
}
var g = 1024, _ = 2048, v = 4096, y = 8192, b = 16384, x = 32768, S = 1 << 25, ee = 65536, C = 1 << 19, te = 1 << 20, ne = 1 << 25, re = 1 << 21, ie = 1 << 22, ae = 1 << 23, oe = Symbol("$state"), se = Symbol("component"), ce = Symbol("legacy props"), le = Symbol(""), ue = Symbol("attributes"), de = Symbol("class"), fe = Symbol("style"), pe = Symbol("text"), me = Symbol("form reset"), he = new class extends Error {
	name = "StaleReactionError";
	message = "The reaction that called `getAbortSignal()` was re-run or destroyed";
}(), ge = !!globalThis.document?.contentType && /* @__PURE__ */ globalThis.document.contentType.includes("xml"), _e = {}, w = Symbol("uninitialized"), ve = "http://www.w3.org/1999/xhtml", ye = "http://www.w3.org/2000/svg";
function be() {
	console.warn("https://svelte.dev/e/derived_inert");
}
function xe(e) {
	console.warn("https://svelte.dev/e/hydration_mismatch");
}
function Se() {
	console.warn("https://svelte.dev/e/select_multiple_invalid_value");
}
function Ce() {
	console.warn("https://svelte.dev/e/svelte_boundary_reset_noop");
}
// node_modules/svelte/src/internal/client/dom/hydration.js
var T = !1;
function we(e) {
	T = e;
}
var E;
function Te(e) {
	if (e === null) throw xe(), _e;
	return E = e;
}
function Ee() {
	return Te(/* @__PURE__ */ fn(E));
}
function D(e) {
	if (T) {
		if (/* @__PURE__ */ fn(E) !== null) throw xe(), _e;
		E = e;
	}
}
function De(e = 1) {
	if (T) {
		for (var t = e, n = E; t--;) n = /* @__PURE__ */ fn(n);
		E = n;
	}
}
function Oe(e = !0) {
	for (var t = 0, n = E;;) {
		if (n.nodeType === 8) {
			var r = n.data;
			if (r === "]") {
				if (t === 0) return n;
				--t;
			} else (r === "[" || r === "[!" || r[0] === "[" && !isNaN(Number(r.slice(1)))) && (t += 1);
		}
		var i = /* @__PURE__ */ fn(n);
		e && n.remove(), n = i;
	}
}
function ke(e) {
	if (!e || e.nodeType !== 8) throw xe(), _e;
	return e.data;
}
// node_modules/svelte/src/internal/client/reactivity/equality.js
function Ae(e) {
	return e === this.v;
}
function je(e, t) {
	return e == e ? e !== t || typeof e == "object" && !!e || typeof e == "function" : t == t;
}
function Me(e) {
	return !je(e, this.v);
}
// node_modules/svelte/src/internal/shared/errors.js
function Ne(e) {
	throw Error("https://svelte.dev/e/lifecycle_outside_component");
}
// node_modules/svelte/src/internal/client/errors.js
function Pe() {
	throw Error("https://svelte.dev/e/async_derived_orphan");
}
function Fe(e, t, n) {
	throw Error("https://svelte.dev/e/each_key_duplicate");
}
function Ie(e) {
	throw Error("https://svelte.dev/e/effect_in_teardown");
}
function Le() {
	throw Error("https://svelte.dev/e/effect_in_unowned_derived");
}
function Re(e) {
	throw Error("https://svelte.dev/e/effect_orphan");
}
function ze() {
	throw Error("https://svelte.dev/e/effect_update_depth_exceeded");
}
function Be(e) {
	throw Error("https://svelte.dev/e/props_invalid_value");
}
function Ve() {
	throw Error("https://svelte.dev/e/state_descriptors_fixed");
}
function He() {
	throw Error("https://svelte.dev/e/state_prototype_fixed");
}
function Ue() {
	throw Error("https://svelte.dev/e/state_unsafe_mutation");
}
function We() {
	throw Error("https://svelte.dev/e/svelte_boundary_reset_onerror");
}
// node_modules/svelte/src/internal/shared/context.js
function Ge(e) {
	let t = e.p;
	for (; t !== null && t.c === null;) t = t.p;
	return t?.c ?? null;
}
function Ke(e, t) {
	return e === null && Ne(t), e.c ??= new Map(Ge(e) || void 0);
}
// node_modules/svelte/src/internal/client/context.js
var qe = null;
function Je(e) {
	qe = e;
}
function Ye(e) {
	return Ke(qe, "getContext").get(e);
}
function Xe(e, t) {
	return Ke(qe, "setContext").set(e, t), t;
}
function O(e, t = !1, n) {
	qe = {
		p: qe,
		i: !1,
		c: null,
		e: null,
		s: e,
		x: null,
		r: B,
		l: null
	};
}
function k(e) {
	var t = qe, n = t.e;
	if (n !== null) {
		t.e = null;
		for (var r of n) Tn(r);
	}
	return e !== void 0 && (t.x = e), t.i = !0, qe = t.p, Ze(e);
}
function Ze(e = {}) {
	return i(e, se, { value: !0 }), e;
}
function Qe() {
	return !0;
}
// node_modules/svelte/src/internal/client/dom/task.js
var $e = [];
function et() {
	var e = $e;
	$e = [], p(e);
}
function tt(e) {
	if ($e.length === 0 && !kt) {
		var t = $e;
		queueMicrotask(() => {
			t === $e && et();
		});
	}
	$e.push(e);
}
function nt() {
	for (; $e.length > 0;) et();
}
// node_modules/svelte/src/internal/client/reactivity/status.js
var rt = ~(_ | v | g);
function it(e, t) {
	e.f = e.f & rt | t;
}
function at(e) {
	e.f & 512 || e.deps === null ? it(e, g) : it(e, v);
}
// node_modules/svelte/src/internal/client/reactivity/utils.js
function ot(e, t) {
	e.f & 2048 ? t.set(e, _) : e.f & 4096 && t.get(e) !== 2048 && t.set(e, v), it(e, g);
}
// node_modules/svelte/src/internal/client/dom/elements/misc.js
function st(e) {
	T && /* @__PURE__ */ dn(e) !== null && pn(e);
}
var ct = !1;
function lt() {
	ct || (ct = !0, document.addEventListener("reset", (e) => {
		Promise.resolve().then(() => {
			if (!e.defaultPrevented) for (let t of e.target.elements) t[me]?.();
		});
	}, { capture: !0 }));
}
// node_modules/svelte/src/internal/client/dom/elements/bindings/shared.js
function ut(e) {
	var t = z, n = B;
	qn(null), Jn(null);
	try {
		return e();
	} finally {
		qn(t), Jn(n);
	}
}
function dt(e, t, n, r = n) {
	e.addEventListener(t, () => ut(n));
	let i = e[me];
	e[me] = i ? () => {
		i(), r(!0);
	} : () => r(!0), lt();
}
// node_modules/svelte/src/internal/client/reactivity/async.js
function ft(e, t, n, r) {
	let i = Qe() ? gt : yt;
	var a = e.filter((e) => !e.settled), o = t.map(i);
	if (n.length === 0 && a.length === 0) {
		r(o);
		return;
	}
	var s = B, c = pt(), l = a.length === 1 ? a[0].promise : a.length > 1 ? Promise.all(a.map((e) => e.promise)) : null;
	function u(e) {
		if (!(s.f & 16384)) {
			c();
			try {
				r([...o, ...e]);
			} catch (e) {
				vn(e, s);
			}
			mt();
		}
	}
	var d = ht();
	if (n.length === 0) {
		l.then(() => u([])).finally(d);
		return;
	}
	function f() {
		Promise.all(n.map((e) => /* @__PURE__ */ vt(e))).then(u).catch((e) => vn(e, s)).finally(d);
	}
	l ? l.then(() => {
		s.f & 16384 ? d() : (c(), f(), mt());
	}) : f();
}
function pt() {
	var e = B, t = z, n = qe, r = j;
	return function(i = !0) {
		Jn(e), qn(t), Je(n), i && !(e.f & 16384) && (r?.activate(), r?.apply());
	};
}
function mt(e = !0) {
	Jn(null), qn(null), Je(null), e && j?.deactivate();
}
function ht() {
	var e = B, t = e.b, n = j, r = !!t?.is_rendered();
	return t?.update_pending_count(1, n), n.increment(r, e), () => {
		t?.update_pending_count(-1, n), n.decrement(r, e);
	};
}
/*#__NO_SIDE_EFFECTS__*/
function gt(e) {
	var t = 2 | _;
	return B !== null && (B.f |= C), {
		ctx: qe,
		deps: null,
		effects: null,
		equals: Ae,
		f: t,
		fn: e,
		reactions: null,
		rv: 0,
		v: w,
		wv: 0,
		parent: B,
		ac: null
	};
}
var _t = Symbol("obsolete");
/*#__NO_SIDE_EFFECTS__*/
function vt(e, t, n) {
	let r = B;
	r === null && Pe();
	var i = void 0, a = Kt(w), o = !z, s = /* @__PURE__ */ new Set();
	return On(() => {
		var t = B, n = m();
		i = n.promise;
		try {
			Promise.resolve(e()).then(n.resolve, (e) => {
				e !== he && n.reject(e);
			}).finally(mt);
		} catch (e) {
			n.reject(e), mt();
		}
		var c = j;
		if (o) {
			if (t.f & 32768) var l = ht();
			if (r.b?.is_rendered()) c.async_deriveds.get(t)?.reject(_t);
			else for (let e of s.values()) e.reject(_t);
			s.add(n), c.async_deriveds.set(t, n);
		}
		let u = (e, t = void 0) => {
			l?.(), s.delete(n), t !== _t && (c.activate(), t ? (a.f |= ae, Xt(a, t)) : (a.f & 8388608 && (a.f ^= ae), Xt(a, e)), c.deactivate());
		};
		n.promise.then(u, (e) => u(null, e || "unknown"));
	}), Cn(() => {
		for (let e of s) e.reject(_t);
	}), new Promise((e) => {
		function t(n) {
			function r() {
				n === i ? e(a) : t(i);
			}
			n.then(r, r);
		}
		t(i);
	});
}
/*#__NO_SIDE_EFFECTS__*/
function A(e) {
	let t = /* @__PURE__ */ gt(e);
	return Xn(t), t;
}
/*#__NO_SIDE_EFFECTS__*/
function yt(e) {
	let t = /* @__PURE__ */ gt(e);
	return t.equals = Me, t;
}
function bt(e) {
	var t = e.effects;
	if (t !== null) {
		e.effects = null;
		for (var n = 0; n < t.length; n += 1) Fn(t[n]);
	}
}
function xt(e) {
	var t, n = B, r = e.parent;
	if (!Wn && r !== null && e.v !== w && r.f & 24576) return be(), e.v;
	Jn(r);
	try {
		bt(e), t = cr(e);
	} finally {
		Jn(n);
	}
	return t;
}
function St(e) {
	var t = xt(e);
	!e.equals(t) && (e.wv = ar(), (!j?.is_fork || e.deps === null) && (j === null ? e.v = t : (j.capture(e, t, !0), Et?.capture(e, t, !0)), e.deps === null)) ? it(e, g) : Wn || (Dt === null ? at(e) : (Sn() || j?.is_fork) && Dt.set(e, t));
}
function Ct(e) {
	if (e.effects !== null) for (let t of e.effects) (t.teardown || t.ac) && (t.teardown?.(), t.ac !== null && ut(() => {
		t.ac.abort(he), t.ac = null;
	}), t.fn !== null && (t.teardown = d), dr(t, 0), Nn(t));
}
function wt(e) {
	if (e.effects !== null) for (let t of e.effects) t.teardown && t.fn !== null && fr(t);
}
// node_modules/svelte/src/internal/client/reactivity/batch.js
var Tt = null, j = null, Et = null, Dt = null, Ot = null, kt = !1, At = !1, jt = null, Mt = null, Nt = 0, Pt = 1, Ft = class e {
	id = Pt++;
	started = !1;
	linked = !0;
	prev = null;
	next = null;
	async_deriveds = /* @__PURE__ */ new Map();
	current = /* @__PURE__ */ new Map();
	previous = /* @__PURE__ */ new Map();
	#e = /* @__PURE__ */ new Set();
	#t = /* @__PURE__ */ new Set();
	#n = 0;
	#r = /* @__PURE__ */ new Map();
	#i = null;
	#a = [];
	#o = [];
	#s = /* @__PURE__ */ new Map();
	#c = /* @__PURE__ */ new Map();
	#l = /* @__PURE__ */ new Set();
	is_fork = !1;
	#u = !1;
	constructor() {
		Tt === null ? Tt = this : (Tt.next = this, this.prev = Tt), Tt = this;
	}
	#d() {
		if (this.is_fork) return !0;
		for (let e of this.#r.keys()) if (!this.#f(e)) return !0;
		return !1;
	}
	#f(e) {
		for (var t = e; t !== null; t = t.parent) if (this.#c.has(t)) return !0;
		return !1;
	}
	skip_effect(e) {
		this.#c.has(e) || this.#c.set(e, {
			d: [],
			m: []
		}), this.#l.delete(e);
	}
	unskip_effect(e, t = (e) => this.schedule(e)) {
		var n = this.#c.get(e);
		if (n) {
			this.#c.delete(e);
			for (var r of n.d) it(r, _), t(r);
			for (r of n.m) it(r, v), t(r);
		}
		this.#l.add(e);
	}
	#p() {
		var e = [];
		for (let i of this.#a) if (!(i.f & 16384 || !(i.f & 6144))) {
			for (var t = i, n = !1; t.parent !== null;) {
				t = t.parent;
				var r = t.f;
				if (r & 96) {
					if (!(r & 1024)) {
						n = !0;
						break;
					}
					t.f ^= g;
				}
			}
			n || e.push(t);
		}
		return this.#a = [], e;
	}
	#m() {
		this.started = !0;
		for (let [e, t] of this.#s) it(e, t), this.schedule(e);
		this.apply();
		for (var t = jt = [], n = [], r = Mt = []; this.#a.length > 0;) {
			Nt++ > 1e3 && (this.#b(), Lt());
			for (let e of this.#p()) try {
				this.#h(e, t, n);
			} catch (t) {
				throw Ht(e), this.#d() || this.discard(), t;
			}
		}
		if (j = null, r.length > 0) {
			var i = e.ensure();
			for (let e of r) i.schedule(e);
		}
		if (jt = null, Mt = null, this.#d()) {
			this.#y(n), this.#y(t);
			for (let [e, t] of this.#c) Vt(e, t);
			r.length > 0 && j.#m();
			return;
		}
		let a = this.#g();
		if (a) this.#y(n), this.#y(t), a.#v(this);
		else {
			this.#s.clear();
			for (let e of this.#e) e(this);
			this.#e.clear(), Et = this, zt(n), zt(t), Et = null, this.#i?.resolve();
			var o = j;
			this.#n === 0 && (this.#a.length === 0 || o !== null) && this.#b(), o !== null && (Wt.clear(), o.#m());
		}
	}
	#h(e, t, n) {
		e.f ^= g;
		for (var r = e.first; r !== null;) {
			var i = r.f, a = !!(i & 96);
			if (!(a && i & 1024 || i & 8192 || this.#c.has(r)) && r.fn !== null) {
				a ? r.f ^= g : i & 4 ? t.push(r) : or(r) && (i & 16 && this.add_dirty_reaction(r, v), fr(r));
				var o = r.first;
				if (o !== null) {
					r = o;
					continue;
				}
			}
			for (; r !== null;) {
				var s = r.next;
				if (s !== null) {
					r = s;
					break;
				}
				r = r.parent;
			}
		}
	}
	#g() {
		for (var e = this.prev; e !== null; e = e.prev) if (!e.is_fork && this.#_(e)) return e;
		return null;
	}
	#_(e) {
		for (let [t, [, n]] of this.current) if (!n && e.current.has(t)) return !0;
		return !1;
	}
	#v(e) {
		for (let [t, n] of e.current) !this.previous.has(t) && e.previous.has(t) && this.previous.set(t, e.previous.get(t)), this.current.set(t, n);
		for (let [t, n] of e.async_deriveds) {
			let e = this.async_deriveds.get(t);
			e && n.promise.then(e.resolve).catch(e.reject);
		}
		e.async_deriveds.clear(), this.transfer_reactions(e.#s);
		let t = (e) => {
			var n = e.reactions;
			if (n !== null && !(e.f & 2 && !(e.f & 6144))) for (let e of n) {
				var r = e.f;
				if (r & 2) t(e);
				else {
					var i = e;
					r & 4194320 && !this.async_deriveds.has(i) && (this.#s.delete(i), it(i, _), this.schedule(i));
				}
			}
		};
		for (let e of this.current.keys()) t(e);
		this.oncommit(() => e.discard()), e.#b(), j = this, this.#m();
	}
	#y(e) {
		for (var t = 0; t < e.length; t += 1) ot(e[t], this.#s);
	}
	capture(e, t, n = !1) {
		e.v !== w && !this.previous.has(e) && this.previous.set(e, e.v), e.f & 8388608 || (this.current.set(e, [t, n]), Dt?.set(e, t)), this.is_fork || (e.v = t);
	}
	activate() {
		j = this;
	}
	deactivate() {
		j = null, Dt = null;
	}
	flush() {
		try {
			At = !0, j = this, this.#m();
		} finally {
			Nt = 0, Ot = null, jt = null, Mt = null, At = !1, j = null, Dt = null, Wt.clear();
		}
	}
	discard() {
		for (let e of this.#t) e(this);
		this.#t.clear();
		for (let e of this.async_deriveds.values()) e.reject(_t);
		this.#b(), this.#i?.resolve();
	}
	register_created_effect(e) {
		this.#o.push(e);
	}
	increment(e, t) {
		if (this.#n += 1, e) {
			let e = this.#r.get(t) ?? 0;
			this.#r.set(t, e + 1);
		}
	}
	decrement(e, t) {
		if (--this.#n, e) {
			let e = this.#r.get(t) ?? 0;
			e === 1 ? this.#r.delete(t) : this.#r.set(t, e - 1);
		}
		this.#u || (this.#u = !0, tt(() => {
			this.#u = !1, this.linked && this.flush();
		}));
	}
	transfer_reactions(e) {
		for (let [t, n] of e) this.add_dirty_reaction(t, n);
		e.clear();
	}
	add_dirty_reaction(e, t) {
		(t === 2048 || this.#s.get(e) !== 2048) && this.#s.set(e, t);
	}
	oncommit(e) {
		this.#e.add(e);
	}
	ondiscard(e) {
		this.#t.add(e);
	}
	settled() {
		return (this.#i ??= m()).promise;
	}
	static ensure() {
		if (j === null) {
			let t = j = new e();
			!At && !kt && tt(() => {
				t.started || t.flush();
			});
		}
		return j;
	}
	apply() {
		Dt = null;
	}
	schedule(e) {
		Ot = e, e.b?.is_pending && e.f & 16777228 && !(e.f & 32768) ? e.b.defer_effect(e) : this.#a.push(e);
	}
	#b() {
		if (this.linked) {
			var e = this.prev, t = this.next;
			e === null || (e.next = t), t === null ? Tt = e : t.prev = e, this.linked = !1;
		}
	}
};
function It(e) {
	var t = kt, n = Et;
	Et = null, kt = !0;
	try {
		var r;
		for (e && (It(), r = e());;) {
			if (nt(), j === null) return r;
			j.flush();
		}
	} finally {
		kt = t, Et = n;
	}
}
function Lt() {
	try {
		ze();
	} catch (e) {
		vn(e, Ot);
	}
}
var Rt = null;
function zt(e) {
	var t = e.length;
	if (t !== 0) {
		for (var n = 0; n < t;) {
			var r = e[n++];
			if (!(r.f & 24576) && or(r) && (Rt = /* @__PURE__ */ new Set(), fr(r), r.deps === null && r.first === null && r.nodes === null && r.teardown === null && r.ac === null && Ln(r), Rt?.size > 0)) {
				Wt.clear();
				for (let e of Rt) {
					if (e.f & 24576) continue;
					let t = [e], n = e.parent;
					for (; n !== null;) Rt.has(n) && (Rt.delete(n), t.push(n)), n = n.parent;
					for (let e = t.length - 1; e >= 0; e--) {
						let n = t[e];
						n.f & 24576 || fr(n);
					}
				}
				Rt.clear();
			}
		}
		Rt = null;
	}
}
function Bt(e) {
	j.schedule(e);
}
function Vt(e, t) {
	if (!(e.f & 32 && e.f & 1024)) {
		e.f & 2048 ? t.d.push(e) : e.f & 4096 && t.m.push(e), it(e, g);
		for (var n = e.first; n !== null;) Vt(n, t), n = n.next;
	}
}
function Ht(e) {
	it(e, g);
	for (var t = e.first; t !== null;) Ht(t), t = t.next;
}
// node_modules/svelte/src/internal/client/reactivity/sources.js
var Ut = /* @__PURE__ */ new Set(), Wt = /* @__PURE__ */ new Map(), Gt = !1;
function Kt(e, t) {
	return {
		f: 0,
		v: e,
		reactions: null,
		equals: Ae,
		rv: 0,
		wv: 0
	};
}
/*#__NO_SIDE_EFFECTS__*/
function M(e, t) {
	let n = Kt(e, t);
	return Xn(n), n;
}
/*#__NO_SIDE_EFFECTS__*/
function qt(e, t = !1, n = !0) {
	let r = Kt(e);
	return t || (r.equals = Me), r;
}
function N(e, t, n = !1) {
	return z !== null && (!Kn || z.f & 131072) && Qe() && z.f & 4325394 && (Yn === null || !Yn.has(e)) && Ue(), Xt(e, n ? tn(t) : t, Mt);
}
var Jt = null, Yt = 0;
function Xt(e, t, n = null) {
	if (!e.equals(t)) {
		Wn ? Wt.set(e, t) : Wt.has(e) || Wt.set(e, e.v);
		var r = Ft.ensure();
		if (r.capture(e, t), e.f & 2) {
			let t = e;
			e.f & 2048 && xt(t), Dt === null && at(t);
		}
		e.wv = ar(), Jt = null, Yt = 0, en(e, _, n), Jt = null, Qe() && B !== null && B.f & 1024 && !(B.f & 96) && ($n === null ? er([e]) : $n.push(e)), !r.is_fork && Ut.size > 0 && !Gt && Zt();
	}
	return t;
}
function Zt() {
	Gt = !1;
	for (let e of Ut) {
		e.f & 1024 && it(e, v);
		let t;
		try {
			t = or(e);
		} catch {
			t = !0;
		}
		t && fr(e);
	}
	Ut.clear();
}
function Qt(e, t = 1) {
	var n = V(e), r = t === 1 ? n++ : n--;
	return N(e, n), r;
}
function $t(e) {
	N(e, e.v + 1);
}
function en(e, t, n) {
	var r = e.reactions;
	if (r !== null) {
		var i = Qe(), a = r.length;
		if (Yt += a, Yt > 1e5 && Jt === null && (Jt = /* @__PURE__ */ new Set()), Jt !== null) {
			if (Jt.has(e)) return;
			Jt.add(e);
		}
		for (var o = 0; o < a; o++) {
			var s = r[o], c = s.f;
			if (i || s !== B) {
				var l = (c & _) === 0;
				if (l && it(s, t), c & 131072) Ut.add(s);
				else if (c & 2) {
					var u = s;
					Dt?.delete(u), en(u, v, n);
				} else if (l) {
					var d = s;
					c & 16 && Rt !== null && Rt.add(d), n === null ? Bt(d) : n.push(d);
				}
			}
		}
	}
}
function tn(t) {
	if (typeof t != "object" || !t || oe in t || se in t) return t;
	let n = l(t);
	if (n !== s && n !== c) return t;
	var r = /* @__PURE__ */ new Map(), i = e(t), o = /* @__PURE__ */ M(0), u = null, d = rr, f = (e) => {
		if (rr === d) return e();
		var t = z, n = rr;
		qn(null), ir(d);
		var r = e();
		return qn(t), ir(n), r;
	};
	return i && r.set("length", /* @__PURE__ */ M(t.length, u)), new Proxy(t, {
		defineProperty(e, t, n) {
			"value" in n && n.configurable !== !1 && n.enumerable !== !1 && n.writable !== !1 || Ve();
			var i = r.get(t);
			return i === void 0 ? f(() => {
				var e = /* @__PURE__ */ M(n.value, u);
				return r.set(t, e), e;
			}) : N(i, n.value, !0), !0;
		},
		deleteProperty(e, t) {
			var n = r.get(t);
			if (n === void 0) {
				if (t in e) {
					let e = f(() => /* @__PURE__ */ M(w, u));
					r.set(t, e), $t(o);
				}
			} else N(n, w), $t(o);
			return !0;
		},
		get(e, n, i) {
			if (n === oe) return t;
			var o = r.get(n), s = n in e;
			if (o === void 0 && (!s || a(e, n)?.writable) && (o = f(() => /* @__PURE__ */ M(tn(s ? e[n] : w), u)), r.set(n, o)), o !== void 0) {
				var c = V(o);
				return c === w ? void 0 : c;
			}
			return Reflect.get(e, n, i);
		},
		getOwnPropertyDescriptor(e, t) {
			this.has?.(e, t);
			var n = Reflect.getOwnPropertyDescriptor(e, t), i = r.get(t);
			if (i !== void 0) {
				var a = V(i);
				if (a === w) return;
				if (n && "value" in n) n.value = a;
				else return {
					enumerable: !0,
					configurable: !0,
					value: a,
					writable: !0
				};
			}
			return n;
		},
		has(e, t) {
			if (t === oe) return !0;
			var n = r.get(t), i = n !== void 0 && n.v !== w || Reflect.has(e, t);
			return (n !== void 0 || (B !== null || z !== null) && (!i || a(e, t)?.writable)) && (n === void 0 && (n = f(() => /* @__PURE__ */ M(i ? tn(e[t]) : w, u)), r.set(t, n)), V(n) === w) ? !1 : i;
		},
		set(e, t, n, s) {
			var c = r.get(t), l = t in e;
			if (i && t === "length") for (var d = n; d < c.v; d += 1) {
				var p = r.get(d + "");
				p === void 0 ? d in e && (p = f(() => /* @__PURE__ */ M(w, u)), r.set(d + "", p)) : N(p, w);
			}
			if (c === void 0) (!l || a(e, t)?.writable) && (c = f(() => /* @__PURE__ */ M(void 0, u)), N(c, tn(n)), r.set(t, c));
			else {
				l = c.v !== w;
				var m = f(() => tn(n));
				N(c, m);
			}
			var h = Reflect.getOwnPropertyDescriptor(e, t);
			if (h?.set && h.set.call(s, n), !l) {
				if (i && typeof t == "string") {
					var g = r.get("length"), _ = Number(t);
					Number.isInteger(_) && _ >= g.v && N(g, _ + 1);
				}
				$t(o);
			}
			return !0;
		},
		ownKeys(e) {
			V(o);
			var t = Reflect.ownKeys(e).filter((e) => {
				var t = r.get(e);
				return t === void 0 || t.v !== w;
			});
			for (var [n, i] of r) i.v !== w && !(n in e) && t.push(n);
			return t;
		},
		setPrototypeOf() {
			He();
		}
	});
}
function nn(e) {
	try {
		if (typeof e == "object" && e && oe in e) return e[oe];
	} catch {}
	return e;
}
function rn(e, t) {
	return Object.is(nn(e), nn(t));
}
// node_modules/svelte/src/internal/client/dom/operations.js
var an, on, sn, cn;
function ln() {
	if (an === void 0) {
		an = window, on = /Firefox/.test(navigator.userAgent);
		var e = Element.prototype, t = Node.prototype, n = Text.prototype;
		sn = a(t, "firstChild").get, cn = a(t, "nextSibling").get, u(e) && (e[de] = void 0, e[ue] = null, e[fe] = void 0, e.__e = void 0), u(n) && (n[pe] = void 0);
	}
}
function un(e = "") {
	return document.createTextNode(e);
}
/*@__NO_SIDE_EFFECTS__*/
function dn(e) {
	return sn.call(e);
}
/*@__NO_SIDE_EFFECTS__*/
function fn(e) {
	return cn.call(e);
}
function P(e, t) {
	if (!T) return /* @__PURE__ */ dn(e);
	var n = /* @__PURE__ */ dn(E);
	if (n === null) n = E.appendChild(un());
	else if (t && n.nodeType !== 3) {
		var r = un();
		return n?.before(r), Te(r), r;
	}
	return t && gn(n), Te(n), n;
}
function F(e, t = !1) {
	if (!T) {
		var n = /* @__PURE__ */ dn(e);
		return n instanceof Comment && n.data === "" ? /* @__PURE__ */ fn(n) : n;
	}
	if (t) {
		if (E?.nodeType !== 3) {
			var r = un();
			return E?.before(r), Te(r), r;
		}
		gn(E);
	}
	return E;
}
function I(e, t = !1) {
	if (!T) return /* @__PURE__ */ dn(e);
	var n = P(e, t);
	return D(e), n;
}
function L(e, t = 1, n = !1) {
	let r = T ? E : e;
	for (var i; t--;) i = r, r = /* @__PURE__ */ fn(r);
	if (!T) return r;
	if (n) {
		if (r?.nodeType !== 3) {
			var a = un();
			return r === null ? i?.after(a) : r.before(a), Te(a), a;
		}
		gn(r);
	}
	return Te(r), r;
}
function pn(e) {
	e.textContent = "";
}
function mn() {
	return !1;
}
function hn(e, t, n) {
	return t == null || t === "http://www.w3.org/1999/xhtml" ? n ? document.createElement(e, { is: n }) : document.createElement(e) : n ? document.createElementNS(t, e, { is: n }) : document.createElementNS(t, e);
}
function gn(e) {
	if (e.nodeValue.length < 65536) return;
	let t = e.nextSibling;
	for (; t !== null && t.nodeType === 3;) t.remove(), e.nodeValue += t.nodeValue, t = e.nextSibling;
}
// node_modules/svelte/src/internal/client/error-handling.js
function _n(e) {
	var t = B;
	if (t === null) return z.f |= ae, e;
	if (!(t.f & 32768) && !(t.f & 4)) throw e;
	vn(e, t);
}
function vn(e, t) {
	if (e === _e) throw e;
	if (!(t !== null && t.f & 16384)) {
		for (; t !== null;) {
			if (t.f & 128 && !(t.f & 33570816)) {
				if (!(t.f & 32768)) throw e;
				try {
					t.b.error(e);
					return;
				} catch (t) {
					e = t;
				}
			}
			t = t.parent;
		}
		throw e;
	}
}
// node_modules/svelte/src/internal/client/reactivity/effects.js
function yn(e) {
	B === null && (z === null && Re(e), Le()), Wn && Ie(e);
}
function bn(e, t) {
	var n = t.last;
	n === null ? t.last = t.first = e : (n.next = e, e.prev = n, t.last = e);
}
function xn(e, t) {
	var n = B;
	n !== null && n.f & 8192 && (e |= y);
	var r = {
		ctx: qe,
		deps: null,
		nodes: null,
		f: e | _ | 512,
		first: null,
		fn: t,
		last: null,
		next: null,
		parent: n,
		b: n && n.b,
		prev: null,
		teardown: null,
		wv: 0,
		ac: null
	};
	j?.register_created_effect(r);
	var i = r;
	if (e & 4) jt === null ? Ft.ensure().schedule(r) : jt.push(r);
	else if (t !== null) {
		try {
			fr(r);
		} catch (e) {
			throw Fn(r), e;
		}
		i.deps === null && i.teardown === null && i.nodes === null && i.first === i.last && !(i.f & 524288) && (i = i.first, e & 16 && e & 65536 && i !== null && (i.f |= ee));
	}
	if (i !== null && (i.parent = n, n !== null && bn(i, n), z !== null && z.f & 2 && !(e & 64))) {
		var a = z;
		(a.effects ??= []).push(i);
	}
	return r;
}
function Sn() {
	return z !== null && !Kn;
}
function Cn(e) {
	let t = xn(8, null);
	return it(t, g), t.teardown = e, t;
}
function wn(e) {
	yn("$effect");
	var t = B.f;
	if (!z && t & 32 && qe !== null && !qe.i) {
		var n = qe;
		(n.e ??= []).push(e);
	} else return Tn(e);
}
function Tn(e) {
	return xn(4 | te, e);
}
function En(e) {
	Ft.ensure();
	let t = xn(64 | C, e);
	return (e = {}) => new Promise((n) => {
		e.outro ? Rn(t, () => {
			Fn(t), n(void 0);
		}) : (Fn(t), n(void 0));
	});
}
function Dn(e) {
	return xn(4, e);
}
function On(e) {
	return xn(ie | C, e);
}
function kn(e, t = 0) {
	return xn(8 | t, e);
}
function R(e, t = [], n = [], r = []) {
	ft(r, t, n, (t) => {
		xn(8, () => {
			e(...t.map(V));
		});
	});
}
function An(e, t = 0) {
	return xn(16 | t, e);
}
function jn(e) {
	return xn(32 | C, e);
}
function Mn(e) {
	var t = e.teardown;
	if (t !== null) {
		let n = Wn, r = z;
		Gn(!0), qn(null);
		try {
			t.call(null);
		} catch (t) {
			vn(t, e.parent);
		} finally {
			Gn(n), qn(r);
		}
	}
}
function Nn(e, t = !1) {
	var n = e.first;
	for (e.first = e.last = null; n !== null;) {
		let e = n.ac;
		e !== null && ut(() => {
			e.abort(he);
		});
		var r = n.next;
		n.f & 64 ? n.parent = null : Fn(n, t), n = r;
	}
}
function Pn(e) {
	for (var t = e.first; t !== null;) {
		var n = t.next;
		t.f & 32 || Fn(t), t = n;
	}
}
function Fn(e, t = !0) {
	var n = !1;
	(t || e.f & 262144) && e.nodes !== null && e.nodes.end !== null && (In(e.nodes.start, e.nodes.end), n = !0), e.f |= S, Nn(e, t && !n), dr(e, 0);
	var r = e.nodes && e.nodes.t;
	if (r !== null) for (let e of r) e.stop();
	Mn(e), e.f ^= S, e.f |= b;
	var i = e.parent;
	i !== null && i.first !== null && Ln(e), e.next = e.prev = e.teardown = e.ctx = e.deps = e.fn = e.nodes = e.ac = e.b = null;
}
function In(e, t) {
	for (; e !== null;) {
		var n = e === t ? null : /* @__PURE__ */ fn(e);
		e.remove(), e = n;
	}
}
function Ln(e) {
	var t = e.parent, n = e.prev, r = e.next;
	n !== null && (n.next = r), r !== null && (r.prev = n), t !== null && (t.first === e && (t.first = r), t.last === e && (t.last = n));
}
function Rn(e, t, n = !0) {
	var r = [];
	e.f |= 256, zn(e, r, !0);
	var i = () => {
		n && Fn(e), t && t();
	}, a = r.length;
	if (a > 0) {
		var o = () => --a || i();
		for (var s of r) s.out(o);
	} else i();
}
function zn(e, t, n) {
	if (!(e.f & 8192)) {
		e.f ^= y;
		var r = e.nodes && e.nodes.t;
		if (r !== null) for (let e of r) (e.is_global || n) && t.push(e);
		for (var i = e.first; i !== null;) {
			var a = i.next;
			if (!(i.f & 64)) {
				var o = !!(i.f & 65536) || !!(i.f & 32) && !!(e.f & 16);
				zn(i, t, o ? n : !1);
			}
			i = a;
		}
	}
}
function Bn(e) {
	e.f &= -257, Vn(e, !0);
}
function Vn(e, t) {
	if (!(e.f & 256) && e.f & 8192) {
		e.f ^= y, e.f & 1024 || (it(e, _), Ft.ensure().schedule(e));
		for (var n = e.first; n !== null;) {
			var r = n.next, i = !!(n.f & 65536) || !!(n.f & 32);
			Vn(n, i ? t : !1), n = r;
		}
		var a = e.nodes && e.nodes.t;
		if (a !== null) for (let e of a) (e.is_global || t) && e.in();
	}
}
function Hn(e, t) {
	if (e.nodes) for (var n = e.nodes.start, r = e.nodes.end; n !== null;) {
		var i = n === r ? null : /* @__PURE__ */ fn(n);
		t.append(n), n = i;
	}
}
// node_modules/svelte/src/internal/client/legacy.js
var Un = null, Wn = !1;
function Gn(e) {
	Wn = e;
}
var z = null, Kn = !1;
function qn(e) {
	z = e;
}
var B = null;
function Jn(e) {
	B = e;
}
var Yn = null;
function Xn(e) {
	z !== null && (z.f & 2097152 || z.f & 2) && (Yn ??= /* @__PURE__ */ new Set()).add(e);
}
var Zn = null, Qn = 0, $n = null;
function er(e) {
	$n = e;
}
var tr = 1, nr = 0, rr = nr;
function ir(e) {
	rr = e;
}
function ar() {
	return ++tr;
}
function or(e) {
	var t = e.f;
	if (t & 2048) return !0;
	if (t & 4096) {
		for (var n = e.deps, r = n.length, i = 0; i < r; i++) {
			var a = n[i];
			if (or(a) && St(a), a.wv > e.wv) return !0;
		}
		t & 512 && Dt === null && it(e, g);
	}
	return !1;
}
function sr(e, t, n = !0) {
	var r = e.reactions;
	if (r !== null && !(Yn !== null && Yn.has(e))) for (var i = 0; i < r.length; i++) {
		var a = r[i];
		a.f & 2 ? sr(a, t, !1) : t === a && (n ? it(a, _) : a.f & 1024 && it(a, v), Bt(a));
	}
}
function cr(e) {
	var t = Zn, n = Qn, r = $n, i = z, a = Yn, o = qe, s = Kn, c = rr, l = e.f;
	Zn = null, Qn = 0, $n = null, z = l & 96 ? null : e, Yn = null, Je(e.ctx), Kn = !1, rr = ++nr, e.ac !== null && (ut(() => {
		e.ac.abort(he);
	}), e.ac = null);
	try {
		e.f |= re;
		var u = (0, e.fn)();
		e.f |= x;
		var d = lr(e);
		if (Qe() && $n !== null && !Kn && d !== null && !(e.f & 6146)) for (var f = 0; f < $n.length; f++) sr($n[f], e);
		if (i !== null && i !== e) {
			if (nr++, i.deps !== null) for (let e = 0; e < n; e += 1) i.deps[e].rv = nr;
			if (t !== null) for (let e of t) e.rv = nr;
			$n !== null && (r === null ? r = $n : r.push(...$n));
		}
		return e.f & 8388608 && (e.f ^= ae), u;
	} catch (t) {
		return lr(e), _n(t);
	} finally {
		e.f ^= re, Zn = t, Qn = n, $n = r, z = i, Yn = a, Je(o), Kn = s, rr = c;
	}
}
function lr(e) {
	var t = e.deps, n = j?.is_fork;
	if (Zn !== null) {
		var r;
		if (n || dr(e, Qn), t !== null && Qn > 0) for (t.length = Qn + Zn.length, r = 0; r < Zn.length; r++) t[Qn + r] = Zn[r];
		else e.deps = t = Zn;
		if (Sn() && e.f & 512) for (r = Qn; r < t.length; r++) (t[r].reactions ??= []).push(e);
	} else !n && t !== null && Qn < t.length && (dr(e, Qn), t.length = Qn);
	return t;
}
function ur(e, r) {
	let i = r.reactions;
	if (i !== null) {
		var a = t.call(i, e);
		if (a !== -1) {
			var o = i.length - 1;
			o === 0 ? i = r.reactions = null : (i[a] = i[o], i.pop());
		}
	}
	if (i === null && r.f & 2 && (Zn === null || !n.call(Zn, r))) {
		var s = r;
		s.f & 512 && (s.f ^= 512), s.v !== w && at(s), s.ac !== null && ut(() => {
			s.ac.abort(he), s.ac = null, it(s, _);
		}), Ct(s), dr(s, 0);
	}
}
function dr(e, t) {
	var n = e.deps;
	if (n !== null) for (var r = t; r < n.length; r++) ur(e, n[r]);
}
function fr(e) {
	var t = e.f;
	if (!(t & 16384)) {
		it(e, g);
		var n = B;
		B = e;
		try {
			t & 16777232 ? Pn(e) : Nn(e), Mn(e);
			var r = cr(e);
			e.teardown = typeof r == "function" ? r : null, e.wv = tr;
		} finally {
			B = n;
		}
	}
}
async function pr() {
	await Promise.resolve(), It();
}
function V(e) {
	var t = !!(e.f & 2);
	if (Un?.add(e), z !== null && !Kn && !(B !== null && B.f & 16384) && (Yn === null || !Yn.has(e))) {
		var r = z.deps;
		if (z.f & 2097152) e.rv < nr && (e.rv = nr, Zn === null && r !== null && r[Qn] === e ? Qn++ : Zn === null ? Zn = [e] : Zn.push(e));
		else {
			z.deps ??= [], n.call(z.deps, e) || z.deps.push(e);
			var i = e.reactions;
			i === null ? e.reactions = [z] : n.call(i, z) || i.push(z);
		}
	}
	if (Wn && Wt.has(e)) return Wt.get(e);
	if (t) {
		var a = e;
		if (Wn) {
			var o = a.v;
			return (!(a.f & 1024) && a.reactions !== null || hr(a)) && (o = xt(a)), Wt.set(a, o), o;
		}
		var s = !(a.f & 512) && !Kn && z !== null && !!(z.f & 512), c = (a.f & x) === 0;
		or(a) && (s && (a.f |= 512), St(a)), s && !c && (wt(a), mr(a));
	}
	if (Dt?.has(e)) return Dt.get(e);
	if (e.f & 8388608) throw e.v;
	return e.v;
}
function mr(e) {
	if (e.f |= 512, e.deps !== null) for (let r of e.deps) {
		var t = r.reactions;
		t === null ? r.reactions = [e] : n.call(t, e) || t.push(e), r.f & 2 && !(r.f & 512) && (wt(r), mr(r));
	}
}
function hr(e) {
	if (e.v === w) return !0;
	if (e.deps === null) return !1;
	for (let t of e.deps) if (Wt.has(t) || t.f & 2 && hr(t)) return !0;
	return !1;
}
function gr(e) {
	var t = Kn;
	try {
		return Kn = !0, e();
	} finally {
		Kn = t;
	}
}
[.../* @__PURE__ */ "allowfullscreen.async.autofocus.autoplay.checked.controls.default.disabled.formnovalidate.indeterminate.inert.ismap.loop.multiple.muted.nomodule.novalidate.open.playsinline.readonly.required.reversed.seamless.selected.webkitdirectory.defer.disablepictureinpicture.disableremoteplayback".split(".")];
var _r = ["touchstart", "touchmove"];
function vr(e) {
	return _r.includes(e);
}
var yr = [
	"textarea",
	"script",
	"style",
	"title"
];
function br(e) {
	return yr.includes(e);
}
// node_modules/svelte/src/internal/client/dom/elements/events.js
var xr = Symbol("events"), Sr = /* @__PURE__ */ new Set(), Cr = /* @__PURE__ */ new Set();
function wr(e) {
	if (!T) return;
	e.removeAttribute("onload"), e.removeAttribute("onerror");
	let t = e.__e;
	t !== void 0 && (e.__e = void 0, queueMicrotask(() => {
		e.isConnected && e.dispatchEvent(t);
	}));
}
function Tr(e, t, n, r = {}) {
	function i(e) {
		if (r.capture || Ar.call(t, e), !e.cancelBubble) return ut(() => n?.call(this, e));
	}
	return e.startsWith("pointer") || e.startsWith("touch") || e === "wheel" ? (i.__removed = !1, tt(() => {
		i.__removed || t.addEventListener(e, i, r);
	})) : t.addEventListener(e, i, r), i;
}
function Er(e, t, n, r, i) {
	var a = {
		capture: r,
		passive: i
	}, o = Tr(e, t, n, a);
	(t === document.body || t === window || t === document || t instanceof HTMLMediaElement) && Cn(() => {
		o.__removed = !0, t.removeEventListener(e, o, a);
	});
}
function H(e, t, n) {
	(t[xr] ??= {})[e] = n;
}
function Dr(e) {
	for (var t = 0; t < e.length; t++) Sr.add(e[t]);
	for (var n of Cr) n(e);
}
var Or = null, kr = !1;
function Ar(e) {
	var t = this, n = t.ownerDocument, r = e.type, a = e.composedPath?.() || [], o = a[0] || e.target;
	Or = e, kr || (kr = !0, setTimeout(() => {
		kr = !1, Or = null;
	}));
	var s = 0, c = Or === e && e[xr];
	if (c) {
		var l = a.indexOf(c);
		if (l !== -1 && (t === document || t === window)) {
			e[xr] = t;
			return;
		}
		var u = a.indexOf(t);
		if (u === -1) return;
		l <= u && (s = l);
	}
	if (o = a[s] || e.target, o !== t) {
		i(e, "currentTarget", {
			configurable: !0,
			get() {
				return o || n;
			}
		});
		var d = z, f = B;
		qn(null), Jn(null);
		try {
			for (var p, m = []; o !== null && o !== t;) {
				try {
					var h = o[xr]?.[r];
					h == null || o.disabled && e.target !== o || h.call(o, e);
				} catch (e) {
					p ? m.push(e) : p = e;
				}
				if (e.cancelBubble) break;
				s++, o = s < a.length ? a[s] : null;
			}
			if (p) {
				for (let e of m) queueMicrotask(() => {
					throw e;
				});
				throw p;
			}
		} finally {
			e[xr] = t, delete e.currentTarget, qn(d), Jn(f);
		}
	}
}
// node_modules/svelte/src/internal/client/dom/reconciler.js
var jr = globalThis?.window?.trustedTypes && /* @__PURE__ */ globalThis.window.trustedTypes.createPolicy("svelte-trusted-html", { createHTML: (e) => e });
function Mr(e) {
	return jr?.createHTML(e) ?? e;
}
function Nr(e) {
	var t = hn("template");
	return t.innerHTML = Mr(e.replaceAll("<!>", "<!---->")), t.content;
}
// node_modules/svelte/src/internal/client/dom/template.js
function Pr(e, t) {
	var n = B;
	n.nodes === null && (n.nodes = {
		start: e,
		end: t,
		a: null,
		t: null
	});
}
/*#__NO_SIDE_EFFECTS__*/
function U(e, t) {
	var n = !!(t & 1), r = !!(t & 2), i, a = !e.startsWith("<!>");
	return () => {
		if (T) return Pr(E, null), E;
		i === void 0 && (i = Nr(a ? e : "<!>" + e), n || (i = /* @__PURE__ */ dn(i)));
		var t = r || on ? document.importNode(i, !0) : i.cloneNode(!0);
		return n ? Pr(/* @__PURE__ */ dn(t), t.lastChild) : Pr(t, t), t;
	};
}
/*#__NO_SIDE_EFFECTS__*/
function Fr(e, t, n = "svg") {
	var r = !e.startsWith("<!>"), i = !!(t & 1), a = `<${n}>${r ? e : "<!>" + e}</${n}>`, o;
	return () => {
		if (T) return Pr(E, null), E;
		if (!o) {
			var e = /* @__PURE__ */ dn(Nr(a));
			if (i) for (o = document.createDocumentFragment(); /* @__PURE__ */ dn(e);) o.appendChild(/* @__PURE__ */ dn(e));
			else o = /* @__PURE__ */ dn(e);
		}
		var t = o.cloneNode(!0);
		return i ? Pr(/* @__PURE__ */ dn(t), t.lastChild) : Pr(t, t), t;
	};
}
/*#__NO_SIDE_EFFECTS__*/
function W(e, t) {
	return /* @__PURE__ */ Fr(e, t, "svg");
}
function Ir(e = "") {
	if (!T) {
		var t = un(e + "");
		return Pr(t, t), t;
	}
	var n = E;
	return n.nodeType === 3 ? gn(n) : (n.before(n = un()), Te(n)), Pr(n, n), n;
}
function Lr() {
	if (T) return Pr(E, null), E;
	var e = document.createDocumentFragment(), t = document.createComment(""), n = un();
	return e.append(t, n), Pr(t, n), e;
}
function G(e, t) {
	if (T) {
		var n = B;
		n.f & 32768 && n.nodes.end !== null || (n.nodes.end = E), Ee();
	} else e !== null && e.before(t);
}
// node_modules/svelte/src/reactivity/create-subscriber.js
function Rr(e) {
	let t = 0, n = Kt(0), r;
	return () => {
		Sn() && (V(n), kn(() => (t === 0 && (r = gr(() => e(() => $t(n)))), t += 1, () => {
			tt(() => {
				--t, t === 0 && (r?.(), r = void 0, $t(n));
			});
		})));
	};
}
// node_modules/svelte/src/internal/client/dom/blocks/boundary.js
var zr = ee | C;
function Br(e, t, n, r) {
	new Vr(e, t, n, r);
}
var Vr = class {
	parent;
	is_pending = !1;
	transform_error;
	#e;
	#t = T ? E : null;
	#n;
	#r;
	#i;
	#a = null;
	#o = null;
	#s = null;
	#c = null;
	#l = 0;
	#u = 0;
	#d = !1;
	#f = /* @__PURE__ */ new Map();
	#p = null;
	#m = Rr(() => (this.#p = Kt(this.#l), () => {
		this.#p = null;
	}));
	constructor(e, t, n, r) {
		this.#e = e, this.#n = t, this.#r = (e) => {
			var t = B;
			t.b = this, t.f |= 128, n(e);
		}, this.parent = B.b, this.transform_error = r ?? this.parent?.transform_error ?? ((e) => e), this.#i = An(() => {
			if (T) {
				let e = ke(this.#t);
				Ee();
				let t = e === "[!";
				if (e.startsWith("[?")) {
					let t = JSON.parse(e.slice(2));
					this.#g(t);
				} else t ? this.#y() : this.#h();
			} else this.#b();
		}, zr), T && (this.#e = E);
	}
	#h() {
		try {
			this.#a = jn(() => this.#r(this.#e));
		} catch (e) {
			this.error(e);
		}
	}
	#g(e) {
		let t = this.#n.failed, { reset: n, invoke_onerror: r } = this.#_(e);
		tt(r), t && (this.#s = jn(() => {
			t(this.#e, () => e, () => n);
		}));
	}
	#_(e) {
		var t = !1, n = !1;
		let r = () => {
			this.#v() || (t ? Ce() : (t = !0, n && We(), this.#s !== null && Rn(this.#s, () => {
				this.#s = null;
			}), this.#S(() => {
				this.#b();
			})));
		};
		return {
			reset: r,
			invoke_onerror: () => {
				if (!this.#v()) try {
					n = !0, this.#n.onerror?.(e, r), n = !1;
				} catch (e) {
					vn(e, this.#i && this.#i.parent);
				}
			}
		};
	}
	#v() {
		return (this.#i.f & (b | S)) !== 0;
	}
	#y() {
		let e = this.#n.pending;
		e && (this.is_pending = !0, this.#o = jn(() => e(this.#e)), tt(() => {
			if (!this.#v()) {
				var e = this.#c = document.createDocumentFragment(), t = un(), n = !1;
				e.append(t), this.#a = this.#S(() => {
					try {
						return jn(() => this.#r(t));
					} catch (e) {
						try {
							this.error(e), n = !0;
						} catch (e) {
							vn(e, this.#i.parent);
						}
						return null;
					}
				}), this.#a === null ? (this.#c = null, n && this.#x(j)) : this.#u === 0 && (this.#e.before(e), this.#c = null, Rn(this.#o, () => {
					this.#o = null;
				}), this.#x(j));
			}
		}));
	}
	#b() {
		try {
			if (this.is_pending = this.has_pending_snippet(), this.#u = 0, this.#l = 0, this.#a = jn(() => {
				this.#r(this.#e);
			}), this.#u > 0) {
				var e = this.#c = document.createDocumentFragment();
				Hn(this.#a, e);
				let t = this.#n.pending;
				this.#o = jn(() => t(this.#e));
			} else this.#x(j);
		} catch (e) {
			this.error(e);
		}
	}
	#x(e) {
		this.is_pending = !1, e.transfer_reactions(this.#f);
	}
	defer_effect(e) {
		ot(e, this.#f);
	}
	is_rendered() {
		return !this.is_pending && (!this.parent || this.parent.is_rendered());
	}
	has_pending_snippet() {
		return !!this.#n.pending;
	}
	#S(e) {
		var t = B, n = z, r = qe;
		Jn(this.#i), qn(this.#i), Je(this.#i.ctx);
		try {
			return Ft.ensure(), e();
		} finally {
			Jn(t), qn(n), Je(r);
		}
	}
	#C(e, t) {
		this.has_pending_snippet() ? (this.#u += e, this.#u === 0 && (this.#x(t), this.#o && Rn(this.#o, () => {
			this.#o = null;
		}), this.#c &&= (this.#e.before(this.#c), null))) : this.parent && this.parent.#C(e, t);
	}
	update_pending_count(e, t) {
		this.#C(e, t), this.#l += e, !this.#p || this.#d || (this.#d = !0, tt(() => {
			this.#d = !1, this.#p && Xt(this.#p, this.#l);
		}));
	}
	get_effect_pending() {
		return this.#m(), V(this.#p);
	}
	error(e) {
		if (e === _e || !this.#n.onerror && !this.#n.failed) throw e;
		j?.is_fork ? (this.#a && j.skip_effect(this.#a), this.#o && j.skip_effect(this.#o), this.#s && j.skip_effect(this.#s), j.oncommit(() => {
			this.#v() || this.#w(e);
		})) : this.#w(e);
	}
	#w(e) {
		this.#a &&= (Fn(this.#a), null), this.#o &&= (Fn(this.#o), null), this.#s &&= (Fn(this.#s), null), T && (Te(this.#t), De(), Te(Oe()));
		let t = this.#n.failed, n = (e) => {
			if (this.#v()) return;
			let { reset: n, invoke_onerror: r } = this.#_(e);
			r(), t && !this.#v() && (this.#s = this.#S(() => {
				try {
					return jn(() => {
						var r = B;
						r.b = this, r.f |= 128, t(this.#e, () => e, () => n);
					});
				} catch (e) {
					return vn(e, this.#i.parent), null;
				}
			}));
		};
		tt(() => {
			if (!this.#v()) {
				var t;
				try {
					t = this.transform_error(e);
				} catch (e) {
					vn(e, this.#i && this.#i.parent);
					return;
				}
				typeof t == "object" && t && typeof t.then == "function" ? t.then(n, (e) => vn(e, this.#i && this.#i.parent)) : n(t);
			}
		});
	}
};
function K(e, t) {
	var n = t == null ? "" : typeof t == "object" ? `${t}` : t;
	n !== (e[pe] ??= e.nodeValue) && (e[pe] = n, e.nodeValue = `${n}`);
}
function Hr(e, t) {
	return Wr(e, t);
}
var Ur = /* @__PURE__ */ new Map();
function Wr(e, { target: t, anchor: n, props: i = {}, events: a, context: o, intro: s = !0, transformError: c }) {
	ln();
	var l = void 0, u = En(() => {
		var s = n ?? t.appendChild(un());
		Br(s, { pending: () => {} }, (t) => {
			O({});
			var n = qe;
			if (o && (n.c = o), a && (i.$$events = a), T && Pr(t, null), l = e(t, i) || Ze(), T && (B.nodes.end = E, E === null || E.nodeType !== 8 || E.data !== "]")) throw xe(), _e;
			k();
		}, c);
		var u = /* @__PURE__ */ new Set(), d = (e) => {
			for (var n = 0; n < e.length; n++) {
				var r = e[n];
				if (!u.has(r)) {
					u.add(r);
					var i = vr(r);
					for (let e of [t, document]) {
						var a = Ur.get(e);
						a === void 0 && (a = /* @__PURE__ */ new Map(), Ur.set(e, a));
						var o = a.get(r);
						o === void 0 ? (e.addEventListener(r, Ar, { passive: i }), a.set(r, 1)) : a.set(r, o + 1);
					}
				}
			}
		};
		return d(r(Sr)), Cr.add(d), () => {
			for (var e of u) for (let n of [t, document]) {
				var r = Ur.get(n), i = r.get(e);
				--i == 0 ? (n.removeEventListener(e, Ar), r.delete(e), r.size === 0 && Ur.delete(n)) : r.set(e, i);
			}
			Cr.delete(d), s !== n && s.parentNode?.removeChild(s);
		};
	});
	return Gr.set(l, u), l;
}
var Gr = /* @__PURE__ */ new WeakMap();
function Kr(e, t) {
	let n = Gr.get(e);
	return n ? (Gr.delete(e), n(t)) : Promise.resolve();
}
// node_modules/svelte/src/internal/client/dom/blocks/branches.js
var qr = class {
	anchor;
	#e = /* @__PURE__ */ new Map();
	#t = /* @__PURE__ */ new Map();
	#n = /* @__PURE__ */ new Map();
	#r = /* @__PURE__ */ new Set();
	#i = !0;
	constructor(e, t = !0) {
		this.anchor = e, this.#i = t;
	}
	#a = (e) => {
		if (this.#e.has(e)) {
			var t = this.#e.get(e), n = this.#t.get(t);
			if (n) Bn(n), this.#r.delete(t);
			else {
				var r = this.#n.get(t);
				r && (Bn(r.effect), this.#t.set(t, r.effect), this.#n.delete(t), r.fragment.lastChild.remove(), this.anchor.before(r.fragment), n = r.effect);
			}
			for (let [t, n] of this.#e) {
				if (this.#e.delete(t), t === e) break;
				let r = this.#n.get(n);
				r && (Fn(r.effect), this.#n.delete(n));
			}
			for (let [e, r] of this.#t) {
				if (e === t || this.#r.has(e)) continue;
				let i = () => {
					if (Array.from(this.#e.values()).includes(e)) {
						var t = document.createDocumentFragment();
						Hn(r, t), t.append(un()), this.#n.set(e, {
							effect: r,
							fragment: t
						});
					} else Fn(r);
					this.#r.delete(e), this.#t.delete(e);
				};
				this.#i || !n ? (this.#r.add(e), Rn(r, i, !1)) : i();
			}
		}
	};
	#o = (e) => {
		this.#e.delete(e);
		let t = Array.from(this.#e.values());
		for (let [e, n] of this.#n) t.includes(e) || (Fn(n.effect), this.#n.delete(e));
	};
	ensure(e, t) {
		var n = j, r = mn();
		if (t && !this.#t.has(e) && !this.#n.has(e)) {
			if (r) {
				var i = document.createDocumentFragment(), a = un();
				i.append(a), this.#n.set(e, {
					effect: jn(() => t(a)),
					fragment: i
				});
			} else this.#t.set(e, jn(() => t(this.anchor)));
		}
		if (this.#e.set(n, e), r) {
			for (let [t, r] of this.#t) t === e ? n.unskip_effect(r) : n.skip_effect(r);
			for (let [t, r] of this.#n) t === e ? n.unskip_effect(r.effect) : n.skip_effect(r.effect);
			n.oncommit(this.#a), n.ondiscard(this.#o);
		} else T && (this.anchor = E), this.#a(n);
	}
}, Jr = 0, Yr = 1, Xr = 2;
function Zr(e, t, n, r, i) {
	T && Ee();
	var a = Qe(), o = w, s = a ? Kt(o) : /* @__PURE__ */ qt(o, !1, !1), c = a ? Kt(o) : /* @__PURE__ */ qt(o, !1, !1), l = new qr(e);
	An(() => {
		var a = j, o = t(), u = !1;
		let d = T && f(o) === (e.data === "[!");
		if (d && (Te(Oe()), we(!1)), f(o)) {
			var p = pt(), m = !1;
			let e = (e) => {
				if (!u) {
					m = !0, p(!1), j === a && a.deactivate(), Ft.ensure();
					try {
						e();
					} finally {
						mt(!1), kt || It();
					}
				}
			};
			o.then((t) => {
				e(() => {
					Xt(s, t), l.ensure(Yr, r && ((e) => r(e, s)));
				});
			}, (t) => {
				e(() => {
					if (Xt(c, t), l.ensure(Xr, i && ((e) => i(e, c))), !i) throw c.v;
				});
			}), T ? l.ensure(Jr, n) : tt(() => {
				m || e(() => {
					l.ensure(Jr, n);
				});
			});
		} else Xt(s, o), l.ensure(Yr, r && ((e) => r(e, s)));
		return d && we(!0), () => {
			u = !0;
		};
	});
}
// node_modules/svelte/src/internal/client/dom/blocks/if.js
function q(e, t, n = !1) {
	var r;
	T && (r = E, Ee());
	var i = new qr(e), a = n ? ee : 0;
	function o(e, t) {
		if (T) {
			var n = ke(r);
			if (e !== parseInt(n.substring(1))) {
				var a = Oe();
				Te(a), i.anchor = a, we(!1), i.ensure(e, t), we(!0);
				return;
			}
		}
		i.ensure(e, t);
	}
	An(() => {
		var e = !1;
		t((t, n = 0) => {
			e = !0, o(n, t);
		}), e || o(-1, null);
	}, a);
}
// node_modules/svelte/src/internal/client/dom/blocks/each.js
function J(e, t) {
	return t;
}
function Qr(e, t, n) {
	for (var i = [], a = t.length, o, s = t.length, c = 0; c < a; c++) {
		let n = t[c];
		Rn(n, () => {
			if (o) {
				if (o.pending.delete(n), o.done.add(n), o.pending.size === 0) {
					var t = e.outrogroups;
					$r(e, r(o.done)), t.delete(o), t.size === 0 && (e.outrogroups = null);
				}
			} else --s;
		}, !1);
	}
	if (s === 0) {
		var l = i.length === 0 && n !== null && e.pending.size === 0;
		if (l) {
			var u = n, d = u.parentNode;
			pn(d), d.append(u), e.items.clear();
		}
		$r(e, t, !l);
	} else o = {
		pending: new Set(t),
		done: /* @__PURE__ */ new Set()
	}, (e.outrogroups ??= /* @__PURE__ */ new Set()).add(o);
}
function $r(e, t, n = !0) {
	var r;
	if (e.pending.size > 0) {
		r = /* @__PURE__ */ new Set();
		for (let t of e.pending.values()) for (let n of t) r.add(e.items.get(n).e);
	}
	for (var i = 0; i < t.length; i++) {
		var a = t[i];
		r?.has(a) ? (a.f |= ne, Hn(a, document.createDocumentFragment())) : Fn(t[i], n);
	}
}
var ei;
function Y(t, n, i, a, o, s = null) {
	var c = t, l = /* @__PURE__ */ new Map();
	if (n & 4) {
		var u = t;
		c = T ? Te(/* @__PURE__ */ dn(u)) : u.appendChild(un());
	}
	T && Ee();
	var d = null, f = /* @__PURE__ */ yt(() => {
		var t = i();
		return e(t) ? t : t == null ? [] : r(t);
	}), p = /* @__PURE__ */ new Map(), m = !0;
	function h(e) {
		if (!(_.effect.f & 16384)) {
			_.pending.delete(e);
			var t = V(f);
			_.fallback = d, ni(_, t, c, n, a), d !== null && (t.length === 0 ? d.f & 33554432 ? (d.f ^= ne, ii(d, null, c)) : Bn(d) : Rn(d, () => {
				d = null;
			}));
		}
	}
	function g(e) {
		_.pending.delete(e);
	}
	var _ = {
		effect: An(() => {
			var e = V(f), t = e.length;
			let r = !1;
			T && ke(c) === "[!" != (t === 0) && (c = Oe(), Te(c), we(!1), r = !0);
			for (var u = /* @__PURE__ */ new Set(), _ = j, v = mn(), y = 0; y < t; y += 1) {
				T && E.nodeType === 8 && E.data === "]" && (c = E, r = !0, we(!1));
				var b = e[y], x = a(b, y), S = m ? null : l.get(x);
				S ? (S.v && Xt(S.v, b), S.i && Xt(S.i, y), v && _.unskip_effect(S.e)) : (S = ri(l, m ? c : ei ??= un(), b, x, y, o, n, i), m || (S.e.f |= ne), l.set(x, S)), u.add(x);
			}
			if (t === 0 && s && !d && (m ? d = jn(() => s(c)) : (d = jn(() => s(ei ??= un())), d.f |= ne)), t > u.size && Fe("", "", ""), T && t > 0 && Te(Oe()), !m) {
				if (p.set(_, u), v) {
					for (let [e, t] of l) u.has(e) || _.skip_effect(t.e);
					_.oncommit(h), _.ondiscard(g);
				} else h(_);
			}
			r && we(!0), V(f);
		}),
		flags: n,
		items: l,
		pending: p,
		outrogroups: null,
		fallback: d
	};
	m = !1, T && (c = E);
}
function ti(e) {
	for (; e !== null && !(e.f & 32);) e = e.next;
	return e;
}
function ni(e, t, n, i, a) {
	var o = !!(i & 8), s = t.length, c = e.items, l = ti(e.effect.first), u, d = null, f, p = [], m = [], h, g, _, v;
	if (o) for (v = 0; v < s; v += 1) h = t[v], g = a(h, v), _ = c.get(g).e, _.f & 33554432 || (_.nodes?.a?.measure(), (f ??= /* @__PURE__ */ new Set()).add(_));
	for (v = 0; v < s; v += 1) {
		if (h = t[v], g = a(h, v), _ = c.get(g).e, e.outrogroups !== null) for (let t of e.outrogroups) t.pending.delete(_), t.done.delete(_);
		if (_.f & 8192 && (Bn(_), o && (_.nodes?.a?.unfix(), (f ??= /* @__PURE__ */ new Set()).delete(_))), _.f & 33554432) {
			if (_.f ^= ne, _ === l) ii(_, null, n);
			else {
				var y = d ? d.next : l;
				_ === e.effect.last && (e.effect.last = _.prev), _.prev && (_.prev.next = _.next), _.next && (_.next.prev = _.prev), ai(e, d, _), ai(e, _, y), ii(_, y, n), d = _, p = [], m = [], l = ti(d.next);
				continue;
			}
		}
		if (_ !== l) {
			if (u !== void 0 && u.has(_)) {
				if (p.length < m.length) {
					var b = m[0], x;
					d = b.prev;
					var S = p[0], ee = p[p.length - 1];
					for (x = 0; x < p.length; x += 1) ii(p[x], b, n);
					for (x = 0; x < m.length; x += 1) u.delete(m[x]);
					ai(e, S.prev, ee.next), ai(e, d, S), ai(e, ee, b), l = b, d = ee, --v, p = [], m = [];
				} else u.delete(_), ii(_, l, n), ai(e, _.prev, _.next), ai(e, _, d === null ? e.effect.first : d.next), ai(e, d, _), d = _;
				continue;
			}
			for (p = [], m = []; l !== null && l !== _;) (u ??= /* @__PURE__ */ new Set()).add(l), m.push(l), l = ti(l.next);
			if (l === null) continue;
		}
		_.f & 33554432 || p.push(_), d = _, l = ti(_.next);
	}
	if (e.outrogroups !== null) {
		for (let t of e.outrogroups) t.pending.size === 0 && ($r(e, r(t.done)), e.outrogroups?.delete(t));
		e.outrogroups.size === 0 && (e.outrogroups = null);
	}
	if (l !== null || u !== void 0) {
		var C = [];
		if (u !== void 0) for (_ of u) _.f & 8192 || C.push(_);
		for (; l !== null;) !(l.f & 8192) && l !== e.fallback && C.push(l), l = ti(l.next);
		var te = C.length;
		if (te > 0) {
			var re = i & 4 && s === 0 ? n : null;
			if (o) {
				for (v = 0; v < te; v += 1) C[v].nodes?.a?.measure();
				for (v = 0; v < te; v += 1) C[v].nodes?.a?.fix();
			}
			Qr(e, C, re);
		}
	}
	o && tt(() => {
		if (f !== void 0) for (_ of f) _.nodes?.a?.apply();
	});
}
function ri(e, t, n, r, i, a, o, s) {
	var c = o & 1 ? o & 16 ? Kt(n) : /* @__PURE__ */ qt(n, !1, !1) : null, l = o & 2 ? Kt(i) : null;
	return {
		v: c,
		i: l,
		e: jn(() => (a(t, c ?? n, l ?? i, s), () => {
			e.delete(r);
		}))
	};
}
function ii(e, t, n) {
	if (e.nodes) for (var r = e.nodes.start, i = e.nodes.end, a = t && !(t.f & 33554432) ? t.nodes.start : n; r !== null;) {
		var o = /* @__PURE__ */ fn(r);
		if (a.before(r), r === i) return;
		r = o;
	}
}
function ai(e, t, n) {
	t === null ? e.effect.first = n : t.next = n, n === null ? e.effect.last = t : n.prev = t;
}
// node_modules/svelte/src/internal/client/dom/blocks/snippet.js
function oi(e, t, ...n) {
	var r = new qr(e);
	An(() => {
		let e = t() ?? null;
		r.ensure(e, e && ((t) => e(t, ...n)));
	}, ee);
}
// node_modules/svelte/src/internal/client/dom/blocks/svelte-element.js
function si(e, t, n, r, i, a) {
	let o = T;
	T && Ee();
	var s = null;
	T && E.nodeType === 1 && (s = E, Ee());
	var c = T ? E : e, l = new qr(c, !1);
	An(() => {
		let e = t() || null;
		var a = i ? i() : n || e === "svg" ? ye : void 0;
		if (e === null) l.ensure(null, null);
		else return l.ensure(e, (t) => {
			if (e) {
				var n = T;
				if (s = T ? s : hn(e, a), Pr(s, s), r) {
					var i = null;
					T && br(e) && s.append(i = document.createComment(""));
					var o = T ? /* @__PURE__ */ dn(s) : s.appendChild(un());
					T && (o === null ? we(!1) : Te(o)), r(s, o), i?.remove();
				}
				B.nodes.end = s, n || t.before(s);
			}
			T && Te(t);
		}), () => {};
	}, ee), Cn(() => {}), o && (we(!0), Te(c));
}
// node_modules/clsx/dist/clsx.mjs
function ci(e) {
	var t, n, r = "";
	if (typeof e == "string" || typeof e == "number") r += e;
	else if (typeof e == "object") {
		if (Array.isArray(e)) {
			var i = e.length;
			for (t = 0; t < i; t++) e[t] && (n = ci(e[t])) && (r && (r += " "), r += n);
		} else for (n in e) e[n] && (r && (r += " "), r += n);
	}
	return r;
}
function li() {
	for (var e, t, n = 0, r = "", i = arguments.length; n < i; n++) (e = arguments[n]) && (t = ci(e)) && (r && (r += " "), r += t);
	return r;
}
// node_modules/svelte/src/internal/shared/attributes.js
function ui(e) {
	return typeof e == "object" ? li(e) : e ?? "";
}
var di = [..." 	\n\r\f\xA0\v﻿"];
function fi(e, t, n) {
	var r = e == null ? "" : "" + e;
	if (t && (r = r ? r + " " + t : t), n) {
		for (var i of Object.keys(n)) if (n[i]) r = r ? r + " " + i : i;
		else if (r.length) for (var a = i.length, o = 0; (o = r.indexOf(i, o)) >= 0;) {
			var s = o + a;
			(o === 0 || di.includes(r[o - 1])) && (s === r.length || di.includes(r[s])) ? r = (o === 0 ? "" : r.substring(0, o)) + r.substring(s + 1) : o = s;
		}
	}
	return r === "" ? null : r;
}
function pi(e, t = !1) {
	var n = t ? " !important;" : ";", r = "";
	for (var i of Object.keys(e)) {
		var a = e[i];
		a != null && a !== "" && (r += " " + i + ": " + a + n);
	}
	return r;
}
function mi(e) {
	return e[0] !== "-" || e[1] !== "-" ? e.toLowerCase() : e;
}
function hi(e, t) {
	if (t) {
		var n = "", r, i;
		if (Array.isArray(t) ? (r = t[0], i = t[1]) : r = t, e) {
			e = String(e).replaceAll(/\/\*.*?\*\//g, "").trim();
			var a = !1, o = 0, s = !1, c = [];
			r && c.push(...Object.keys(r).map(mi)), i && c.push(...Object.keys(i).map(mi));
			var l = 0, u = -1;
			let t = e.length;
			for (var d = 0; d < t; d++) {
				var f = e[d];
				if (s ? f === "/" && e[d - 1] === "*" && (s = !1) : a ? a === f && (a = !1) : f === "/" && e[d + 1] === "*" ? s = !0 : f === "\"" || f === "'" ? a = f : f === "(" ? o++ : f === ")" && o--, !s && a === !1 && o === 0) {
					if (f === ":" && u === -1) u = d;
					else if (f === ";" || d === t - 1) {
						if (u !== -1) {
							var p = mi(e.substring(l, u).trim());
							if (!c.includes(p)) {
								f !== ";" && d++;
								var m = e.substring(l, d).trim();
								n += " " + m + ";";
							}
						}
						l = d + 1, u = -1;
					}
				}
			}
		}
		return r && (n += pi(r)), i && (n += pi(i, !0)), n = n.trim(), n === "" ? null : n;
	}
	return e == null ? null : String(e);
}
// node_modules/svelte/src/internal/client/dom/elements/class.js
function gi(e, t, n, r, i, a) {
	var o = e[de];
	if (T || o !== n || o === void 0) {
		var s = fi(n, r, a);
		T && s === e.getAttribute("class") || (s == null ? e.removeAttribute("class") : t ? e.className = s : e.setAttribute("class", s)), e[de] = n;
	} else if (a && i !== a) for (var c in a) {
		var l = !!a[c];
		(i == null || l !== !!i[c]) && e.classList.toggle(c, l);
	}
	return a;
}
// node_modules/svelte/src/internal/client/dom/elements/style.js
function _i(e, t = {}, n, r) {
	for (var i in n) {
		var a = n[i];
		t[i] !== a && (n[i] == null ? e.style.removeProperty(i) : e.style.setProperty(i, a, r));
	}
}
function X(e, t, n, r) {
	var i = e[fe];
	if (T || i !== t) {
		var a = hi(t, r);
		T && a === e.getAttribute("style") || (a == null ? e.removeAttribute("style") : e.style.cssText = a), e[fe] = t;
	} else r && (Array.isArray(r) ? (_i(e, n?.[0], r[0]), _i(e, n?.[1], r[1], "important")) : _i(e, n, r));
	return r;
}
// node_modules/svelte/src/internal/client/dom/elements/bindings/select.js
function vi(e, t) {
	t ? e.hasAttribute("selected") || e.setAttribute("selected", "") : e.removeAttribute("selected");
}
function yi(t, n) {
	var r = t.__defaultValue, i = t.multiple, a = i ? r ?? [] : null;
	if (!i || e(a)) {
		var o = t.selectedIndex, s = n && i ? new Set(t.selectedOptions) : null;
		for (var c of t.options) {
			var l = Ci(c);
			vi(c, i ? a.includes(l) : rn(l, r));
		}
		if (n) {
			if (s !== null) for (c of t.options) {
				var u = s.has(c);
				c.selected !== u && (c.selected = u);
			}
			else t.selectedIndex !== o && (t.selectedIndex = o);
		}
	}
}
function bi(t, n, r = !1) {
	if (t.multiple) {
		if (n == null) return;
		if (!e(n)) return Se();
		for (var i of t.options) i.selected = n.includes(Ci(i));
	} else {
		for (i of t.options) if (rn(Ci(i), n)) {
			i.selected = !0;
			return;
		}
		r && n === void 0 || (t.selectedIndex = -1);
	}
}
function xi(e) {
	var t = new MutationObserver((t) => {
		t.every(wi) || ("__defaultValue" in e && yi(e, !1), "__value" in e && bi(e, e.__value));
	});
	t.observe(e, {
		childList: !0,
		subtree: !0,
		attributes: !0,
		attributeFilter: ["value"]
	}), Cn(() => {
		t.disconnect();
	});
}
function Si(e, t, n = t) {
	var r = /* @__PURE__ */ new WeakSet(), i = !0;
	dt(e, "change", (t) => {
		var i = t ? "[selected]" : ":checked", a;
		if (e.multiple) a = [].map.call(e.querySelectorAll(i), Ci);
		else {
			var o = e.querySelector(i) ?? e.querySelector("option:not([disabled])");
			a = o && Ci(o);
		}
		n(a), e.__value = a, j !== null && r.add(j);
	}), Dn(() => {
		var a = t();
		if (e === document.activeElement) {
			var o = j;
			if (r.has(o)) return;
		}
		if (bi(e, a, i), i && a === void 0) {
			var s = e.querySelector(":checked");
			s !== null && (a = Ci(s), n(a));
		}
		e.__value = a, i = !1;
	});
}
function Ci(e) {
	return "__value" in e ? e.__value : e.value;
}
function wi(e) {
	if (e.target.closest("selectedcontent") !== null) return !0;
	if (e.type === "childList") {
		var t = [...e.addedNodes, ...e.removedNodes];
		return t.length > 0 && t.every((e) => e.nodeName === "SELECTEDCONTENT");
	}
	return !1;
}
// node_modules/svelte/src/internal/client/dom/elements/attributes.js
var Ti = Symbol("is custom element"), Ei = Symbol("is html"), Di = ge ? "link" : "LINK", Oi = ge ? "progress" : "PROGRESS";
function ki(e) {
	if (T) {
		var t = !1, n = () => {
			if (!t) {
				if (t = !0, e.hasAttribute("value")) {
					var n = e.value;
					Z(e, "value", null), e.value = n;
				}
				if (e.hasAttribute("checked")) {
					var r = e.checked;
					Z(e, "checked", null), e.checked = r;
				}
			}
		};
		e[me] = n, tt(n), lt();
	}
}
function Ai(e, t) {
	var n = Mi(e);
	n.value !== (n.value = t ?? void 0) && (e.value !== t || t === 0 && e.nodeName === Oi) && (e.value = t ?? "");
}
function ji(e, t) {
	var n = Mi(e);
	n.checked !== (n.checked = t ?? void 0) && (e.checked = t);
}
function Z(e, t, n, r) {
	var i = Mi(e);
	if (!(T && (i[t] = e.getAttribute(t), t === "src" || t === "srcset" || t === "href" && e.nodeName === Di))) {
		var a = i[t];
		a !== (i[t] = n) && (t === "loading" && (e[le] = n), n == null ? e.removeAttribute(t) : typeof n != "string" && Pi(e).has(t) ? e[t] = n : (!T || typeof n != "number" && typeof n != "boolean" || a !== String(n)) && e.setAttribute(t, n));
	}
}
function Mi(e) {
	return e[ue] ??= {
		[Ti]: e.nodeName.includes("-"),
		[Ei]: e.namespaceURI === ve
	};
}
var Ni = /* @__PURE__ */ new Map();
function Pi(e) {
	var t = e.getAttribute("is") || e.nodeName, n = Ni.get(t);
	if (n) return n;
	Ni.set(t, n = /* @__PURE__ */ new Set());
	for (var r, i = e, a = Element.prototype; a !== i;) {
		for (var s in r = o(i), r) r[s].set && s !== "innerHTML" && s !== "textContent" && s !== "innerText" && n.add(s);
		i = l(i);
	}
	return n;
}
// node_modules/svelte/src/internal/client/dom/elements/bindings/input.js
function Fi(e, t, n = t) {
	var r = /* @__PURE__ */ new WeakSet();
	dt(e, "input", async (i) => {
		var a = i ? e.defaultValue : e.value;
		if (a = Li(e) ? Ri(a) : a, n(a), j !== null && r.add(j), await pr(), a !== (a = t())) {
			var o = e.selectionStart, s = e.selectionEnd, c = e.value.length;
			if (e.value = a ?? "", s !== null) {
				var l = e.value.length;
				o === s && s === c && l > c ? (e.selectionStart = l, e.selectionEnd = l) : (e.selectionStart = o, e.selectionEnd = Math.min(s, l));
			}
		}
	}), (T && e.defaultValue !== e.value || gr(t) == null && e.value) && (n(Li(e) ? Ri(e.value) : e.value), j !== null && r.add(j)), kn(() => {
		var n = t();
		if (e === document.activeElement) {
			var i = j;
			if (r.has(i)) return;
		}
		Li(e) && n === Ri(e.value) || (e.type !== "date" || n || e.value) && n !== e.value && (e.value = n ?? "");
	});
}
function Ii(e, t, n = t) {
	dt(e, "change", (t) => {
		n(t ? e.defaultChecked : e.checked);
	}), (T && e.defaultChecked !== e.checked || gr(t) == null) && n(e.checked), kn(() => {
		e.checked = !!t();
	});
}
function Li(e) {
	var t = e.type;
	return t === "number" || t === "range";
}
function Ri(e) {
	return e === "" ? null : +e;
}
var zi = /* @__PURE__ */ new class e {
	#e = /* @__PURE__ */ new WeakMap();
	#t;
	#n;
	static entries = /* @__PURE__ */ new WeakMap();
	constructor(e) {
		this.#n = e;
	}
	observe(e, t) {
		var n = this.#e.get(e) || /* @__PURE__ */ new Set();
		return n.add(t), this.#e.set(e, n), this.#r().observe(e, this.#n), () => {
			var n = this.#e.get(e);
			n.delete(t), n.size === 0 && (this.#e.delete(e), this.#t.unobserve(e));
		};
	}
	#r() {
		return this.#t ??= new ResizeObserver((t) => {
			for (var n of t) {
				e.entries.set(n.target, n);
				for (var r of this.#e.get(n.target) || []) r(n);
			}
		});
	}
}({ box: "border-box" });
function Bi(e, t, n) {
	var r = zi.observe(e, () => n(e[t]));
	Dn(() => (gr(() => n(e[t])), r));
}
// node_modules/svelte/src/internal/client/dom/elements/bindings/this.js
function Vi(e, t) {
	return e === t || e?.[oe] === t;
}
function Hi(e = Ze(), t, n, r) {
	var i = qe.r, a = B;
	return Dn(() => {
		var o, s;
		return kn(() => {
			o = s, s = r?.() || [], gr(() => {
				Vi(n(...s), e) || (t(e, ...s), o && Vi(n(...o), e) && t(null, ...o));
			});
		}), () => {
			let r = a;
			for (; r !== i && r.parent !== null && r.parent.f & 33554432;) r = r.parent;
			let o = () => {
				s && Vi(n(...s), e) && t(null, ...s);
			}, c = r.teardown;
			r.teardown = () => {
				o(), c?.();
			};
		};
	}), e;
}
// node_modules/svelte/src/internal/client/reactivity/store.js
var Ui = !1;
function Wi(e) {
	var t = Ui;
	try {
		return Ui = !1, [e(), Ui];
	} finally {
		Ui = t;
	}
}
// node_modules/svelte/src/internal/client/reactivity/props.js
function Gi(e, t, n, r) {
	var i = !0, o = !!(n & 8), s = !!(n & 16), c = r, l = !0, u = void 0, d = () => s && i ? (u ??= /* @__PURE__ */ gt(r), V(u)) : (l && (l = !1, c = s ? gr(r) : r), c);
	let f;
	if (o) {
		var p = oe in e || ce in e;
		f = a(e, t)?.set ?? (p && t in e ? (n) => e[t] = n : void 0);
	}
	var m, h = !1;
	o ? [m, h] = Wi(() => e[t]) : m = e[t], m === void 0 && r !== void 0 && (m = d(), f && (i && Be(t), f(m)));
	var g = i ? () => {
		var n = e[t];
		return n === void 0 ? d() : (l = !0, n);
	} : () => {
		var n = e[t];
		return n !== void 0 && (c = void 0), n === void 0 ? c : n;
	};
	if (i && !(n & 4)) return g;
	if (f) {
		var _ = e.$$legacy;
		return (function(e, t) {
			return arguments.length > 0 ? ((!i || !t || _ || h) && f(t ? g() : e), e) : g();
		});
	}
	var v = !1, y = (n & 1 ? gt : yt)(() => (v = !1, g()));
	o && V(y);
	var b = B;
	return (function(e, t) {
		if (arguments.length > 0) {
			let n = t ? V(y) : i && o ? tn(e) : e;
			return N(y, n), v = !0, c !== void 0 && (c = n), e;
		}
		return Wn && v || b.f & 16384 ? y.v : V(y);
	});
}
// node_modules/svelte/src/index-client.js
function Ki(e) {
	qe === null && Ne("onMount"), wn(() => {
		let t = gr(e);
		if (typeof t == "function") return t;
	});
}
function qi(e) {
	qe === null && Ne("onDestroy"), Ki(() => () => gr(e));
}
// node_modules/svelte/src/internal/disclose-version.js
typeof window < "u" && ((window.__svelte ??= {}).v ??= /* @__PURE__ */ new Set()).add("5");
// src/lib/route.ts
function Ji(e) {
	let [t = "", n = ""] = e.replace(/^#?\/?/, "").split("?", 2), [r, ...i] = t.split("/").map(Yi);
	return {
		view: r || "overview",
		parts: i,
		query: Object.fromEntries(new URLSearchParams(n))
	};
}
function Yi(e) {
	try {
		return decodeURIComponent(e);
	} catch {
		return e;
	}
}
function Q(e, t = [], n = {}) {
	let r = [e, ...t].map((e) => encodeURIComponent(String(e))).join("/"), i = Object.entries(n).filter(([, e]) => e !== "" && e != null), a = new URLSearchParams(i.map(([e, t]) => [e, String(t)])).toString();
	return `#/${r}${a ? `?${a}` : ""}`;
}
// src/parts/Loaded.svelte
var Xi = /* @__PURE__ */ U("<div class=\"note error\" role=\"alert\"><p> </p></div>"), Zi = /* @__PURE__ */ U("<p class=\"busy\" role=\"status\">Loading …</p>");
function Qi(e, t) {
	var n = Lr();
	Zr(F(n), () => t.promise, (e) => {
		G(e, Zi());
	}, (e, n) => {
		var r = Lr();
		oi(F(r), () => t.children, () => V(n)), G(e, r);
	}, (e, t) => {
		var n = Xi(), r = I(P(n), !0);
		D(n), R(() => K(r, V(t).message)), G(e, n);
	}), G(e, n);
}
// src/parts/Missing.svelte
var $i = /* @__PURE__ */ U("<div class=\"note\"><p> </p> <pre> </pre></div>");
function ea(e, t) {
	var n = Lr(), r = F(n), i = (e) => {
		var n = $i(), r = P(n), i = I(r), a = I(L(r, 2), !0);
		D(n), R(() => {
			K(i, `This run has no ${t.what ?? ""} yet. This command computes it:`), K(a, t.command);
		}), G(e, n);
	};
	q(r, (e) => {
		t.command && e(i);
	}), G(e, n);
}
// src/lib/format.ts
var ta = "−";
function $(e, t = 3) {
	if (e == null || !Number.isFinite(e)) return "–";
	let n = Math.abs(e), r;
	return r = Number.isInteger(e) ? n.toLocaleString("en-US") : n >= 1e3 ? Math.round(n).toLocaleString("en-US") : n !== 0 && n < 10 ** -t ? n.toExponential(1).replace("-", ta) : Number(n.toPrecision(t)).toString(), e < 0 ? ta + r : r;
}
function na(e, t = 2) {
	if (e == null || !Number.isFinite(e)) return "–";
	let n = Math.abs(e).toFixed(t);
	return Number(n) === 0 ? n : (e < 0 ? ta : "+") + n;
}
function ra(e, t = 1) {
	if (e == null || !Number.isFinite(e)) return "–";
	let n = e * 100;
	return n !== 0 && Math.abs(n) < 10 ** -t ? `< ${10 ** -t} %` : `${n.toFixed(n === 0 || Math.abs(n) >= 99.95 ? 0 : t)} %`.replace("-", ta);
}
var ia = (e) => e || "no clear name";
function aa(e) {
	return e.split(/`([^`\n]+)`/).map((e, t) => ({
		code: t % 2 == 1,
		text: e
	})).filter((e) => e.text);
}
// src/lib/save.ts
function oa(e, t) {
	let n = (e) => {
		let t = e == null ? "" : String(e);
		return /[",\n\r]/.test(t) ? `"${t.replaceAll("\"", "\"\"")}"` : t;
	};
	return [e, ...t].map((e) => e.map(n).join(",")).join("\r\n") + "\r\n";
}
var sa = (e, t) => `${e.toLowerCase().replace(/[^a-z0-9._-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "") || "picture"}.${t}`;
function ca(e, t) {
	let n = URL.createObjectURL(e), r = document.createElement("a");
	r.href = n, r.download = t, document.body.append(r), r.click(), r.remove(), setTimeout(() => URL.revokeObjectURL(n), 1e4);
}
var la = (e, t, n) => ca(new Blob([oa(e, t)], { type: "text/csv" }), sa(n, "csv")), ua = [
	"fill",
	"stroke",
	"stroke-width",
	"stroke-dasharray",
	"opacity",
	"fill-opacity",
	"stroke-opacity",
	"font-family",
	"font-size",
	"font-weight",
	"font-style",
	"text-anchor"
];
function da(e) {
	let t = e.cloneNode(!0), [n, r] = [e.querySelectorAll("*"), t.querySelectorAll("*")];
	n.forEach((e, t) => {
		let n = getComputedStyle(e);
		for (let e of ua) r[t]?.setAttribute(e, n.getPropertyValue(e));
		r[t]?.removeAttribute("class");
	});
	let { width: i, height: a } = e.viewBox.baseVal;
	t.setAttribute("xmlns", "http://www.w3.org/2000/svg"), t.setAttribute("width", String(i)), t.setAttribute("height", String(a));
	let o = document.createElementNS("http://www.w3.org/2000/svg", "rect");
	return o.setAttribute("width", "100%"), o.setAttribute("height", "100%"), o.setAttribute("fill", getComputedStyle(e.closest(".cl-root") ?? e).backgroundColor), t.prepend(o), new XMLSerializer().serializeToString(t);
}
var fa = (e, t) => ca(new Blob([da(e)], { type: "image/svg+xml" }), sa(t, "svg"));
async function pa(e, t) {
	let { width: n, height: r } = e.viewBox.baseVal, i = new Image();
	i.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(da(e))}`, await i.decode();
	let a = document.createElement("canvas");
	a.width = Math.round(n * 2), a.height = Math.round(r * 2), a.getContext("2d")?.drawImage(i, 0, 0, a.width, a.height), a.toBlob((e) => e && ca(e, sa(t, "png")), "image/png");
}
async function ma(e) {
	try {
		await navigator.clipboard.writeText(e);
	} catch {
		let t = document.createElement("textarea");
		t.value = e, document.body.append(t), t.select(), document.execCommand("copy"), t.remove();
	}
}
// src/parts/CopyCode.svelte
var ha = /* @__PURE__ */ U("<button class=\"plain\"> </button>");
function ga(e, t) {
	O(t, !0);
	let n = /* @__PURE__ */ M(!1);
	async function r() {
		await ma(t.code), N(n, !0), setTimeout(() => N(n, !1), 1600);
	}
	var i = Lr(), a = F(i), o = (e) => {
		var i = ha(), a = I(i, !0);
		R(() => {
			Z(i, "title", t.code), K(a, V(n) ? "Copied" : "Copy as Python");
		}), H("click", i, r), G(e, i);
	};
	q(a, (e) => {
		t.code && e(o);
	}), G(e, i), k();
}
Dr(["click"]);
// src/parts/DataTable.svelte
var _a = /* @__PURE__ */ U("<th><button> </button></th>"), va = /* @__PURE__ */ U("<a> </a>"), ya = /* @__PURE__ */ U("<td><!></td>"), ba = /* @__PURE__ */ U("<tr></tr>"), xa = /* @__PURE__ */ U("<button class=\"plain\"> </button>"), Sa = /* @__PURE__ */ U("<div class=\"scroll\" role=\"region\" tabindex=\"0\"><table><thead><tr></tr></thead><tbody></tbody></table></div> <p class=\"small\"><!> <button class=\"plain\">Save as CSV</button></p>", 1);
function Ca(e, t) {
	O(t, !0);
	let n = Gi(t, "most", 3, 200), r = /* @__PURE__ */ M(null), i = /* @__PURE__ */ M(!0), a = /* @__PURE__ */ M(!1), o = /* @__PURE__ */ A(() => {
		let e = t.rows.map((e, t) => t), n = V(r);
		if (n === null) return e;
		let a = V(i) ? -1 : 1;
		return e.sort((e, r) => {
			let [i, o] = [t.rows[e]?.[n], t.rows[r]?.[n]];
			return i == null ? 1 : o == null ? -1 : a * (i < o ? -1 : +(i > o));
		});
	}), s = /* @__PURE__ */ A(() => t.columns.map((e, n) => t.rows.some((e) => typeof e[n] == "number")));
	function c(e) {
		V(r) === e ? N(i, !V(i)) : ((e) => {
			var t = h(e, 2);
			N(r, t[0], !0), N(i, t[1], !0);
		})([e, !0]);
	}
	let l = (e) => typeof e == "number" ? $(e) : typeof e == "boolean" ? e ? "yes" : "no" : e ?? "–";
	var u = Sa(), d = F(u), f = P(d), p = P(f), m = P(p);
	Y(m, 21, () => t.columns, J, (e, t, n) => {
		var a = _a();
		let o;
		var l = P(a), u = I(l);
		D(a), R(() => {
			Z(a, "aria-sort", V(r) === n ? V(i) ? "descending" : "ascending" : "none"), o = gi(a, 1, "", null, o, { n: V(s)[n] }), K(u, `${V(t) ?? ""}${V(r) === n ? V(i) ? " ↓" : " ↑" : ""}`);
		}), H("click", l, () => c(n)), G(e, a);
	}), D(m), D(p);
	var g = L(p);
	Y(g, 20, () => V(a) ? V(o) : V(o).slice(0, n()), (e) => e, (e, n) => {
		var r = ba();
		Y(r, 21, () => t.rows[n] ?? [], J, (e, r, i) => {
			let a = /* @__PURE__ */ A(() => t.links?.(n, i));
			var o = ya();
			let c;
			var u = P(o), d = (e) => {
				var t = va(), n = I(t, !0);
				R((e) => {
					Z(t, "href", V(a)), K(n, e);
				}, [() => l(V(r))]), G(e, t);
			}, f = (e) => {
				var t = Ir();
				R((e) => K(t, e), [() => l(V(r))]), G(e, t);
			};
			q(u, (e) => {
				V(a) ? e(d) : e(f, -1);
			}), D(o), R(() => c = gi(o, 1, "", null, c, { n: V(s)[i] })), G(e, o);
		}), D(r), G(e, r);
	}), D(g), D(f), D(d);
	var _ = L(d, 2), v = P(_), y = (e) => {
		var n = xa(), r = I(n);
		R((e) => K(r, `Show all ${e ?? ""} rows`), [() => t.rows.length.toLocaleString("en-US")]), H("click", n, () => N(a, !0)), G(e, n);
	};
	q(v, (e) => {
		t.rows.length > n() && !V(a) && e(y);
	});
	var b = L(v, 2);
	D(_), R(() => {
		Z(d, "aria-label", t.title), Z(b, "aria-label", `Save as CSV: ${t.title}`);
	}), H("click", b, () => la(t.columns, t.rows, t.title)), G(e, u), k();
}
Dr(["click"]);
// src/views/Compare.svelte
var wa = /* @__PURE__ */ U("<option> </option>"), Ta = /* @__PURE__ */ U("<h1>Compare</h1> <p class=\"lead\">For each mode of one site, the mode of the other that is active in the same samples.</p> <div class=\"controls\"><label>First <select></select></label> <label>Second <select></select></label></div> <p>The median correlation of a mode of <code> </code> with its partner at <code> </code> <!></p> <!>", 1);
function Ea(e, t) {
	O(t, !0);
	var n = Ta(), r = L(F(n), 4), i = P(r), a = L(P(i));
	Y(a, 21, () => t.sites, J, (e, t) => {
		var n = wa(), r = I(n, !0), i = {};
		R(() => {
			K(r, V(t)), i !== (i = V(t)) && (n.__value = i);
		}), G(e, n);
	}), D(a);
	var o;
	xi(a), D(i);
	var s = L(i, 2), c = L(P(s));
	Y(c, 21, () => t.sites, J, (e, t) => {
		var n = wa(), r = I(n, !0), i = {};
		R(() => {
			K(r, V(t)), i !== (i = V(t)) && (n.__value = i);
		}), G(e, n);
	}), D(c);
	var l;
	xi(c), D(s), D(r);
	var u = L(r, 2), d = L(P(u)), f = I(d, !0), p = L(d, 2), m = I(p, !0), h = L(p);
	ga(L(h), { get code() {
		return t.data.python;
	} }), D(u);
	var g = L(u, 2);
	{
		let e = /* @__PURE__ */ A(() => `Modes of ${t.data.first} and ${t.data.second}`), n = /* @__PURE__ */ A(() => [
			`mode of ${t.data.first}`,
			"name",
			"share",
			`mode of ${t.data.second}`,
			"its name",
			"correlation of loadings"
		]), r = /* @__PURE__ */ A(() => t.data.rows.map((e) => [
			e.mode,
			ia(e.name),
			e.share,
			e.partner,
			ia(e.partner_name),
			e.correlation
		]));
		Ca(g, {
			get title() {
				return V(e);
			},
			get columns() {
				return V(n);
			},
			get rows() {
				return V(r);
			},
			links: (e, n) => {
				let r = t.data.rows[e];
				return r ? n < 2 ? Q("mode", [t.data.first, r.mode]) : n === 3 || n === 4 ? Q("mode", [t.data.second, r.partner]) : null : null;
			}
		});
	}
	R((e) => {
		o !== (o = t.data.first) && (a.value = (a.__value = o) ?? "", bi(a, o)), l !== (l = t.data.second) && (c.value = (c.__value = l) ?? "", bi(c, l)), K(f, t.data.first), K(m, t.data.second), K(h, ` is ${e ?? ""}. `);
	}, [() => $(t.data.median, 2)]), H("change", a, (e) => t.go(Q("compare", [e.currentTarget.value, t.data.second]))), H("change", c, (e) => t.go(Q("compare", [t.data.first, e.currentTarget.value]))), G(e, n), k();
}
Dr(["change"]);
// node_modules/d3-array/dist/d3-array.mjs
function Da(e, t) {
	return e == null || t == null ? NaN : e < t ? -1 : e > t ? 1 : e >= t ? 0 : NaN;
}
function Oa(e, t) {
	return e == null || t == null ? NaN : t < e ? -1 : t > e ? 1 : t >= e ? 0 : NaN;
}
function ka(e) {
	let t, n, r;
	e.length === 2 ? (t = e === Da || e === Oa ? e : Aa, n = e, r = e) : (t = Da, n = (t, n) => Da(e(t), n), r = (t, n) => e(t) - n);
	function i(e, r, i = 0, a = e.length) {
		if (i < a) {
			if (t(r, r) !== 0) return a;
			do {
				let t = i + a >>> 1;
				n(e[t], r) < 0 ? i = t + 1 : a = t;
			} while (i < a);
		}
		return i;
	}
	function a(e, r, i = 0, a = e.length) {
		if (i < a) {
			if (t(r, r) !== 0) return a;
			do {
				let t = i + a >>> 1;
				n(e[t], r) <= 0 ? i = t + 1 : a = t;
			} while (i < a);
		}
		return i;
	}
	function o(e, t, n = 0, a = e.length) {
		let o = i(e, t, n, a - 1);
		return o > n && r(e[o - 1], t) > -r(e[o], t) ? o - 1 : o;
	}
	return {
		left: i,
		center: o,
		right: a
	};
}
function Aa() {
	return 0;
}
function ja(e) {
	return e === null ? NaN : +e;
}
var Ma = ka(Da), Na = Ma.right;
Ma.left, ka(ja).center, Array.prototype.slice;
var Pa = Math.sqrt(50), Fa = Math.sqrt(10), Ia = Math.sqrt(2);
function La(e, t, n) {
	let r = (t - e) / Math.max(0, n), i = Math.floor(Math.log10(r)), a = r / 10 ** i, o = a >= Pa ? 10 : a >= Fa ? 5 : a >= Ia ? 2 : 1, s, c, l;
	return i < 0 ? (l = 10 ** -i / o, s = Math.round(e * l), c = Math.round(t * l), s / l < e && ++s, c / l > t && --c, l = -l) : (l = 10 ** i * o, s = Math.round(e / l), c = Math.round(t / l), s * l < e && ++s, c * l > t && --c), c < s && .5 <= n && n < 2 ? La(e, t, n * 2) : [
		s,
		c,
		l
	];
}
function Ra(e, t, n) {
	if (t = +t, e = +e, n = +n, !(n > 0)) return [];
	if (e === t) return [e];
	let r = t < e, [i, a, o] = r ? La(t, e, n) : La(e, t, n);
	if (!(a >= i)) return [];
	let s = a - i + 1, c = Array(s);
	if (r) {
		if (o < 0) for (let e = 0; e < s; ++e) c[e] = (a - e) / -o;
		else for (let e = 0; e < s; ++e) c[e] = (a - e) * o;
	} else if (o < 0) for (let e = 0; e < s; ++e) c[e] = (i + e) / -o;
	else for (let e = 0; e < s; ++e) c[e] = (i + e) * o;
	return c;
}
function za(e, t, n) {
	return t = +t, e = +e, n = +n, La(e, t, n)[2];
}
function Ba(e, t, n) {
	t = +t, e = +e, n = +n;
	let r = t < e, i = r ? za(t, e, n) : za(e, t, n);
	return (r ? -1 : 1) * (i < 0 ? 1 / -i : i);
}
// node_modules/d3-color/dist/d3-color.mjs
function Va(e, t, n) {
	e.prototype = t.prototype = n, n.constructor = e;
}
function Ha(e, t) {
	var n = Object.create(e.prototype);
	for (var r in t) n[r] = t[r];
	return n;
}
function Ua() {}
var Wa = .7, Ga = 1 / Wa, Ka = "\\s*([+-]?\\d+)\\s*", qa = "\\s*([+-]?(?:\\d*\\.)?\\d+(?:[eE][+-]?\\d+)?)\\s*", Ja = "\\s*([+-]?(?:\\d*\\.)?\\d+(?:[eE][+-]?\\d+)?)%\\s*", Ya = /^#([0-9a-f]{3,8})$/, Xa = RegExp(`^rgb\\(${Ka},${Ka},${Ka}\\)$`), Za = RegExp(`^rgb\\(${Ja},${Ja},${Ja}\\)$`), Qa = RegExp(`^rgba\\(${Ka},${Ka},${Ka},${qa}\\)$`), $a = RegExp(`^rgba\\(${Ja},${Ja},${Ja},${qa}\\)$`), eo = RegExp(`^hsl\\(${qa},${Ja},${Ja}\\)$`), to = RegExp(`^hsla\\(${qa},${Ja},${Ja},${qa}\\)$`), no = {
	aliceblue: 0xf0f8ff,
	antiquewhite: 0xfaebd7,
	aqua: 65535,
	aquamarine: 8388564,
	azure: 0xf0ffff,
	beige: 0xf5f5dc,
	bisque: 0xffe4c4,
	black: 0,
	blanchedalmond: 0xffebcd,
	blue: 255,
	blueviolet: 9055202,
	brown: 0xa52a2a,
	burlywood: 0xdeb887,
	cadetblue: 6266528,
	chartreuse: 8388352,
	chocolate: 0xd2691e,
	coral: 0xff7f50,
	cornflowerblue: 6591981,
	cornsilk: 0xfff8dc,
	crimson: 0xdc143c,
	cyan: 65535,
	darkblue: 139,
	darkcyan: 35723,
	darkgoldenrod: 0xb8860b,
	darkgray: 0xa9a9a9,
	darkgreen: 25600,
	darkgrey: 0xa9a9a9,
	darkkhaki: 0xbdb76b,
	darkmagenta: 9109643,
	darkolivegreen: 5597999,
	darkorange: 0xff8c00,
	darkorchid: 0x9932cc,
	darkred: 9109504,
	darksalmon: 0xe9967a,
	darkseagreen: 9419919,
	darkslateblue: 4734347,
	darkslategray: 3100495,
	darkslategrey: 3100495,
	darkturquoise: 52945,
	darkviolet: 9699539,
	deeppink: 0xff1493,
	deepskyblue: 49151,
	dimgray: 6908265,
	dimgrey: 6908265,
	dodgerblue: 2003199,
	firebrick: 0xb22222,
	floralwhite: 0xfffaf0,
	forestgreen: 2263842,
	fuchsia: 0xff00ff,
	gainsboro: 0xdcdcdc,
	ghostwhite: 0xf8f8ff,
	gold: 0xffd700,
	goldenrod: 0xdaa520,
	gray: 8421504,
	green: 32768,
	greenyellow: 0xadff2f,
	grey: 8421504,
	honeydew: 0xf0fff0,
	hotpink: 0xff69b4,
	indianred: 0xcd5c5c,
	indigo: 4915330,
	ivory: 0xfffff0,
	khaki: 0xf0e68c,
	lavender: 0xe6e6fa,
	lavenderblush: 0xfff0f5,
	lawngreen: 8190976,
	lemonchiffon: 0xfffacd,
	lightblue: 0xadd8e6,
	lightcoral: 0xf08080,
	lightcyan: 0xe0ffff,
	lightgoldenrodyellow: 0xfafad2,
	lightgray: 0xd3d3d3,
	lightgreen: 9498256,
	lightgrey: 0xd3d3d3,
	lightpink: 0xffb6c1,
	lightsalmon: 0xffa07a,
	lightseagreen: 2142890,
	lightskyblue: 8900346,
	lightslategray: 7833753,
	lightslategrey: 7833753,
	lightsteelblue: 0xb0c4de,
	lightyellow: 0xffffe0,
	lime: 65280,
	limegreen: 3329330,
	linen: 0xfaf0e6,
	magenta: 0xff00ff,
	maroon: 8388608,
	mediumaquamarine: 6737322,
	mediumblue: 205,
	mediumorchid: 0xba55d3,
	mediumpurple: 9662683,
	mediumseagreen: 3978097,
	mediumslateblue: 8087790,
	mediumspringgreen: 64154,
	mediumturquoise: 4772300,
	mediumvioletred: 0xc71585,
	midnightblue: 1644912,
	mintcream: 0xf5fffa,
	mistyrose: 0xffe4e1,
	moccasin: 0xffe4b5,
	navajowhite: 0xffdead,
	navy: 128,
	oldlace: 0xfdf5e6,
	olive: 8421376,
	olivedrab: 7048739,
	orange: 0xffa500,
	orangered: 0xff4500,
	orchid: 0xda70d6,
	palegoldenrod: 0xeee8aa,
	palegreen: 0x98fb98,
	paleturquoise: 0xafeeee,
	palevioletred: 0xdb7093,
	papayawhip: 0xffefd5,
	peachpuff: 0xffdab9,
	peru: 0xcd853f,
	pink: 0xffc0cb,
	plum: 0xdda0dd,
	powderblue: 0xb0e0e6,
	purple: 8388736,
	rebeccapurple: 6697881,
	red: 0xff0000,
	rosybrown: 0xbc8f8f,
	royalblue: 4286945,
	saddlebrown: 9127187,
	salmon: 0xfa8072,
	sandybrown: 0xf4a460,
	seagreen: 3050327,
	seashell: 0xfff5ee,
	sienna: 0xa0522d,
	silver: 0xc0c0c0,
	skyblue: 8900331,
	slateblue: 6970061,
	slategray: 7372944,
	slategrey: 7372944,
	snow: 0xfffafa,
	springgreen: 65407,
	steelblue: 4620980,
	tan: 0xd2b48c,
	teal: 32896,
	thistle: 0xd8bfd8,
	tomato: 0xff6347,
	turquoise: 4251856,
	violet: 0xee82ee,
	wheat: 0xf5deb3,
	white: 0xffffff,
	whitesmoke: 0xf5f5f5,
	yellow: 0xffff00,
	yellowgreen: 0x9acd32
};
Va(Ua, so, {
	copy(e) {
		return Object.assign(new this.constructor(), this, e);
	},
	displayable() {
		return this.rgb().displayable();
	},
	hex: ro,
	formatHex: ro,
	formatHex8: io,
	formatHsl: ao,
	formatRgb: oo,
	toString: oo
});
function ro() {
	return this.rgb().formatHex();
}
function io() {
	return this.rgb().formatHex8();
}
function ao() {
	return xo(this).formatHsl();
}
function oo() {
	return this.rgb().formatRgb();
}
function so(e) {
	var t, n;
	return e = (e + "").trim().toLowerCase(), (t = Ya.exec(e)) ? (n = t[1].length, t = parseInt(t[1], 16), n === 6 ? co(t) : n === 3 ? new po(t >> 8 & 15 | t >> 4 & 240, t >> 4 & 15 | t & 240, (t & 15) << 4 | t & 15, 1) : n === 8 ? lo(t >> 24 & 255, t >> 16 & 255, t >> 8 & 255, (t & 255) / 255) : n === 4 ? lo(t >> 12 & 15 | t >> 8 & 240, t >> 8 & 15 | t >> 4 & 240, t >> 4 & 15 | t & 240, ((t & 15) << 4 | t & 15) / 255) : null) : (t = Xa.exec(e)) ? new po(t[1], t[2], t[3], 1) : (t = Za.exec(e)) ? new po(t[1] * 255 / 100, t[2] * 255 / 100, t[3] * 255 / 100, 1) : (t = Qa.exec(e)) ? lo(t[1], t[2], t[3], t[4]) : (t = $a.exec(e)) ? lo(t[1] * 255 / 100, t[2] * 255 / 100, t[3] * 255 / 100, t[4]) : (t = eo.exec(e)) ? bo(t[1], t[2] / 100, t[3] / 100, 1) : (t = to.exec(e)) ? bo(t[1], t[2] / 100, t[3] / 100, t[4]) : no.hasOwnProperty(e) ? co(no[e]) : e === "transparent" ? new po(NaN, NaN, NaN, 0) : null;
}
function co(e) {
	return new po(e >> 16 & 255, e >> 8 & 255, e & 255, 1);
}
function lo(e, t, n, r) {
	return r <= 0 && (e = t = n = NaN), new po(e, t, n, r);
}
function uo(e) {
	return e instanceof Ua || (e = so(e)), e ? (e = e.rgb(), new po(e.r, e.g, e.b, e.opacity)) : new po();
}
function fo(e, t, n, r) {
	return arguments.length === 1 ? uo(e) : new po(e, t, n, r ?? 1);
}
function po(e, t, n, r) {
	this.r = +e, this.g = +t, this.b = +n, this.opacity = +r;
}
Va(po, fo, Ha(Ua, {
	brighter(e) {
		return e = e == null ? Ga : Ga ** +e, new po(this.r * e, this.g * e, this.b * e, this.opacity);
	},
	darker(e) {
		return e = e == null ? Wa : Wa ** +e, new po(this.r * e, this.g * e, this.b * e, this.opacity);
	},
	rgb() {
		return this;
	},
	clamp() {
		return new po(vo(this.r), vo(this.g), vo(this.b), _o(this.opacity));
	},
	displayable() {
		return -.5 <= this.r && this.r < 255.5 && -.5 <= this.g && this.g < 255.5 && -.5 <= this.b && this.b < 255.5 && 0 <= this.opacity && this.opacity <= 1;
	},
	hex: mo,
	formatHex: mo,
	formatHex8: ho,
	formatRgb: go,
	toString: go
}));
function mo() {
	return `#${yo(this.r)}${yo(this.g)}${yo(this.b)}`;
}
function ho() {
	return `#${yo(this.r)}${yo(this.g)}${yo(this.b)}${yo((isNaN(this.opacity) ? 1 : this.opacity) * 255)}`;
}
function go() {
	let e = _o(this.opacity);
	return `${e === 1 ? "rgb(" : "rgba("}${vo(this.r)}, ${vo(this.g)}, ${vo(this.b)}${e === 1 ? ")" : `, ${e})`}`;
}
function _o(e) {
	return isNaN(e) ? 1 : Math.max(0, Math.min(1, e));
}
function vo(e) {
	return Math.max(0, Math.min(255, Math.round(e) || 0));
}
function yo(e) {
	return e = vo(e), (e < 16 ? "0" : "") + e.toString(16);
}
function bo(e, t, n, r) {
	return r <= 0 ? e = t = n = NaN : n <= 0 || n >= 1 ? e = t = NaN : t <= 0 && (e = NaN), new Co(e, t, n, r);
}
function xo(e) {
	if (e instanceof Co) return new Co(e.h, e.s, e.l, e.opacity);
	if (e instanceof Ua || (e = so(e)), !e) return new Co();
	if (e instanceof Co) return e;
	e = e.rgb();
	var t = e.r / 255, n = e.g / 255, r = e.b / 255, i = Math.min(t, n, r), a = Math.max(t, n, r), o = NaN, s = a - i, c = (a + i) / 2;
	return s ? (o = t === a ? (n - r) / s + (n < r) * 6 : n === a ? (r - t) / s + 2 : (t - n) / s + 4, s /= c < .5 ? a + i : 2 - a - i, o *= 60) : s = c > 0 && c < 1 ? 0 : o, new Co(o, s, c, e.opacity);
}
function So(e, t, n, r) {
	return arguments.length === 1 ? xo(e) : new Co(e, t, n, r ?? 1);
}
function Co(e, t, n, r) {
	this.h = +e, this.s = +t, this.l = +n, this.opacity = +r;
}
Va(Co, So, Ha(Ua, {
	brighter(e) {
		return e = e == null ? Ga : Ga ** +e, new Co(this.h, this.s, this.l * e, this.opacity);
	},
	darker(e) {
		return e = e == null ? Wa : Wa ** +e, new Co(this.h, this.s, this.l * e, this.opacity);
	},
	rgb() {
		var e = this.h % 360 + (this.h < 0) * 360, t = isNaN(e) || isNaN(this.s) ? 0 : this.s, n = this.l, r = n + (n < .5 ? n : 1 - n) * t, i = 2 * n - r;
		return new po(Eo(e >= 240 ? e - 240 : e + 120, i, r), Eo(e, i, r), Eo(e < 120 ? e + 240 : e - 120, i, r), this.opacity);
	},
	clamp() {
		return new Co(wo(this.h), To(this.s), To(this.l), _o(this.opacity));
	},
	displayable() {
		return (0 <= this.s && this.s <= 1 || isNaN(this.s)) && 0 <= this.l && this.l <= 1 && 0 <= this.opacity && this.opacity <= 1;
	},
	formatHsl() {
		let e = _o(this.opacity);
		return `${e === 1 ? "hsl(" : "hsla("}${wo(this.h)}, ${To(this.s) * 100}%, ${To(this.l) * 100}%${e === 1 ? ")" : `, ${e})`}`;
	}
}));
function wo(e) {
	return e = (e || 0) % 360, e < 0 ? e + 360 : e;
}
function To(e) {
	return Math.max(0, Math.min(1, e || 0));
}
function Eo(e, t, n) {
	return (e < 60 ? t + (n - t) * e / 60 : e < 180 ? n : e < 240 ? t + (n - t) * (240 - e) / 60 : t) * 255;
}
var Do = Math.PI / 180, Oo = 180 / Math.PI, ko = 18, Ao = .96422, jo = 1, Mo = .82521, No = 4 / 29, Po = 6 / 29, Fo = 3 * Po * Po, Io = Po * Po * Po;
function Lo(e) {
	if (e instanceof zo) return new zo(e.l, e.a, e.b, e.opacity);
	if (e instanceof Ko) return qo(e);
	e instanceof po || (e = uo(e));
	var t = Uo(e.r), n = Uo(e.g), r = Uo(e.b), i = Bo((.2225045 * t + .7168786 * n + .0606169 * r) / jo), a, o;
	return t === n && n === r ? a = o = i : (a = Bo((.4360747 * t + .3850649 * n + .1430804 * r) / Ao), o = Bo((.0139322 * t + .0971045 * n + .7141733 * r) / Mo)), new zo(116 * i - 16, 500 * (a - i), 200 * (i - o), e.opacity);
}
function Ro(e, t, n, r) {
	return arguments.length === 1 ? Lo(e) : new zo(e, t, n, r ?? 1);
}
function zo(e, t, n, r) {
	this.l = +e, this.a = +t, this.b = +n, this.opacity = +r;
}
Va(zo, Ro, Ha(Ua, {
	brighter(e) {
		return new zo(this.l + ko * (e ?? 1), this.a, this.b, this.opacity);
	},
	darker(e) {
		return new zo(this.l - ko * (e ?? 1), this.a, this.b, this.opacity);
	},
	rgb() {
		var e = (this.l + 16) / 116, t = isNaN(this.a) ? e : e + this.a / 500, n = isNaN(this.b) ? e : e - this.b / 200;
		return t = Ao * Vo(t), e = jo * Vo(e), n = Mo * Vo(n), new po(Ho(3.1338561 * t - 1.6168667 * e - .4906146 * n), Ho(-.9787684 * t + 1.9161415 * e + .033454 * n), Ho(.0719453 * t - .2289914 * e + 1.4052427 * n), this.opacity);
	}
}));
function Bo(e) {
	return e > Io ? e ** (1 / 3) : e / Fo + No;
}
function Vo(e) {
	return e > Po ? e * e * e : Fo * (e - No);
}
function Ho(e) {
	return 255 * (e <= .0031308 ? 12.92 * e : 1.055 * e ** (1 / 2.4) - .055);
}
function Uo(e) {
	return (e /= 255) <= .04045 ? e / 12.92 : ((e + .055) / 1.055) ** 2.4;
}
function Wo(e) {
	if (e instanceof Ko) return new Ko(e.h, e.c, e.l, e.opacity);
	if (e instanceof zo || (e = Lo(e)), e.a === 0 && e.b === 0) return new Ko(NaN, 0 < e.l && e.l < 100 ? 0 : NaN, e.l, e.opacity);
	var t = Math.atan2(e.b, e.a) * Oo;
	return new Ko(t < 0 ? t + 360 : t, Math.sqrt(e.a * e.a + e.b * e.b), e.l, e.opacity);
}
function Go(e, t, n, r) {
	return arguments.length === 1 ? Wo(e) : new Ko(e, t, n, r ?? 1);
}
function Ko(e, t, n, r) {
	this.h = +e, this.c = +t, this.l = +n, this.opacity = +r;
}
function qo(e) {
	if (isNaN(e.h)) return new zo(e.l, 0, 0, e.opacity);
	var t = e.h * Do;
	return new zo(e.l, Math.cos(t) * e.c, Math.sin(t) * e.c, e.opacity);
}
Va(Ko, Go, Ha(Ua, {
	brighter(e) {
		return new Ko(this.h, this.c, this.l + ko * (e ?? 1), this.opacity);
	},
	darker(e) {
		return new Ko(this.h, this.c, this.l - ko * (e ?? 1), this.opacity);
	},
	rgb() {
		return qo(this).rgb();
	}
}));
var Jo = -.14861, Yo = 1.78277, Xo = -.29227, Zo = -.90649, Qo = 1.97294, $o = Qo * Zo, es = Qo * Yo, ts = Yo * Xo - Zo * Jo;
function ns(e) {
	if (e instanceof is) return new is(e.h, e.s, e.l, e.opacity);
	e instanceof po || (e = uo(e));
	var t = e.r / 255, n = e.g / 255, r = e.b / 255, i = (ts * r + $o * t - es * n) / (ts + $o - es), a = r - i, o = (Qo * (n - i) - Xo * a) / Zo, s = Math.sqrt(o * o + a * a) / (Qo * i * (1 - i)), c = s ? Math.atan2(o, a) * Oo - 120 : NaN;
	return new is(c < 0 ? c + 360 : c, s, i, e.opacity);
}
function rs(e, t, n, r) {
	return arguments.length === 1 ? ns(e) : new is(e, t, n, r ?? 1);
}
function is(e, t, n, r) {
	this.h = +e, this.s = +t, this.l = +n, this.opacity = +r;
}
Va(is, rs, Ha(Ua, {
	brighter(e) {
		return e = e == null ? Ga : Ga ** +e, new is(this.h, this.s, this.l * e, this.opacity);
	},
	darker(e) {
		return e = e == null ? Wa : Wa ** +e, new is(this.h, this.s, this.l * e, this.opacity);
	},
	rgb() {
		var e = isNaN(this.h) ? 0 : (this.h + 120) * Do, t = +this.l, n = isNaN(this.s) ? 0 : this.s * t * (1 - t), r = Math.cos(e), i = Math.sin(e);
		return new po(255 * (t + n * (Jo * r + Yo * i)), 255 * (t + n * (Xo * r + Zo * i)), 255 * (t + Qo * r * n), this.opacity);
	}
}));
var as = (e) => () => e;
function os(e, t) {
	return function(n) {
		return e + n * t;
	};
}
function ss(e, t, n) {
	return e **= +n, t = t ** +n - e, n = 1 / n, function(r) {
		return (e + r * t) ** +n;
	};
}
function cs(e, t) {
	var n = t - e;
	return n ? os(e, n > 180 || n < -180 ? n - 360 * Math.round(n / 360) : n) : as(isNaN(e) ? t : e);
}
function ls(e) {
	return (e = +e) == 1 ? us : function(t, n) {
		return n - t ? ss(t, n, e) : as(isNaN(t) ? n : t);
	};
}
function us(e, t) {
	var n = t - e;
	return n ? os(e, n) : as(isNaN(e) ? t : e);
}
var ds = (function e(t) {
	var n = ls(t);
	function r(e, t) {
		var r = n((e = fo(e)).r, (t = fo(t)).r), i = n(e.g, t.g), a = n(e.b, t.b), o = us(e.opacity, t.opacity);
		return function(t) {
			return e.r = r(t), e.g = i(t), e.b = a(t), e.opacity = o(t), e + "";
		};
	}
	return r.gamma = e, r;
})(1);
function fs(e, t) {
	t ||= [];
	var n = e ? Math.min(t.length, e.length) : 0, r = t.slice(), i;
	return function(a) {
		for (i = 0; i < n; ++i) r[i] = e[i] * (1 - a) + t[i] * a;
		return r;
	};
}
function ps(e) {
	return ArrayBuffer.isView(e) && !(e instanceof DataView);
}
function ms(e, t) {
	for (var n = t ? t.length : 0, r = e ? Math.min(n, e.length) : 0, i = Array(r), a = Array(n), o = 0; o < r; ++o) i[o] = Cs(e[o], t[o]);
	for (; o < n; ++o) a[o] = t[o];
	return function(e) {
		for (o = 0; o < r; ++o) a[o] = i[o](e);
		return a;
	};
}
function hs(e, t) {
	var n = /* @__PURE__ */ new Date();
	return e = +e, t = +t, function(r) {
		return n.setTime(e * (1 - r) + t * r), n;
	};
}
function gs(e, t) {
	return e = +e, t = +t, function(n) {
		return e * (1 - n) + t * n;
	};
}
function _s(e, t) {
	var n = {}, r = {}, i;
	for (i in typeof e == "object" && e || (e = {}), typeof t == "object" && t || (t = {}), t) i in e ? n[i] = Cs(e[i], t[i]) : r[i] = t[i];
	return function(e) {
		for (i in n) r[i] = n[i](e);
		return r;
	};
}
var vs = /[-+]?(?:\d+\.?\d*|\.?\d+)(?:[eE][-+]?\d+)?/g, ys = new RegExp(vs.source, "g");
function bs(e) {
	return function() {
		return e;
	};
}
function xs(e) {
	return function(t) {
		return e(t) + "";
	};
}
function Ss(e, t) {
	var n = vs.lastIndex = ys.lastIndex = 0, r, i, a, o = -1, s = [], c = [];
	for (e += "", t += ""; (r = vs.exec(e)) && (i = ys.exec(t));) (a = i.index) > n && (a = t.slice(n, a), s[o] ? s[o] += a : s[++o] = a), (r = r[0]) === (i = i[0]) ? s[o] ? s[o] += i : s[++o] = i : (s[++o] = null, c.push({
		i: o,
		x: gs(r, i)
	})), n = ys.lastIndex;
	return n < t.length && (a = t.slice(n), s[o] ? s[o] += a : s[++o] = a), s.length < 2 ? c[0] ? xs(c[0].x) : bs(t) : (t = c.length, function(e) {
		for (var n = 0, r; n < t; ++n) s[(r = c[n]).i] = r.x(e);
		return s.join("");
	});
}
function Cs(e, t) {
	var n = typeof t, r;
	return t == null || n === "boolean" ? as(t) : (n === "number" ? gs : n === "string" ? (r = so(t)) ? (t = r, ds) : Ss : t instanceof so ? ds : t instanceof Date ? hs : ps(t) ? fs : Array.isArray(t) ? ms : typeof t.valueOf != "function" && typeof t.toString != "function" || isNaN(t) ? _s : gs)(e, t);
}
function ws(e, t) {
	return e = +e, t = +t, function(n) {
		return Math.round(e * (1 - n) + t * n);
	};
}
var Ts = 1e-12;
function Es(e) {
	return ((e = Math.exp(e)) + 1 / e) / 2;
}
function Ds(e) {
	return ((e = Math.exp(e)) - 1 / e) / 2;
}
function Os(e) {
	return ((e = Math.exp(2 * e)) - 1) / (e + 1);
}
(function e(t, n, r) {
	function i(e, i) {
		var a = e[0], o = e[1], s = e[2], c = i[0], l = i[1], u = i[2], d = c - a, f = l - o, p = d * d + f * f, m, h;
		if (p < Ts) h = Math.log(u / s) / t, m = function(e) {
			return [
				a + e * d,
				o + e * f,
				s * Math.exp(t * e * h)
			];
		};
		else {
			var g = Math.sqrt(p), _ = (u * u - s * s + r * p) / (2 * s * n * g), v = (u * u - s * s - r * p) / (2 * u * n * g), y = Math.log(Math.sqrt(_ * _ + 1) - _);
			h = (Math.log(Math.sqrt(v * v + 1) - v) - y) / t, m = function(e) {
				var r = e * h, i = Es(y), c = s / (n * g) * (i * Os(t * r + y) - Ds(y));
				return [
					a + c * d,
					o + c * f,
					s * i / Es(t * r + y)
				];
			};
		}
		return m.duration = Math.abs(h) * 1e3 * t / Math.SQRT2, m;
	}
	return i.rho = function(t) {
		var n = Math.max(.001, +t), r = n * n;
		return e(n, r, r * r);
	}, i;
})(Math.SQRT2, 2, 4);
function ks(e) {
	return (function t(n) {
		n = +n;
		function r(t, r) {
			var i = e((t = rs(t)).h, (r = rs(r)).h), a = us(t.s, r.s), o = us(t.l, r.l), s = us(t.opacity, r.opacity);
			return function(e) {
				return t.h = i(e), t.s = a(e), t.l = o(e ** +n), t.opacity = s(e), t + "";
			};
		}
		return r.gamma = t, r;
	})(1);
}
ks(cs), ks(us);
// node_modules/d3-format/dist/d3-format.mjs
function As(e) {
	return Math.abs(e = Math.round(e)) >= 1e21 ? e.toLocaleString("en").replace(/,/g, "") : e.toString(10);
}
function js(e, t) {
	if (!isFinite(e) || e === 0) return null;
	var n = (e = t ? e.toExponential(t - 1) : e.toExponential()).indexOf("e"), r = e.slice(0, n);
	return [r.length > 1 ? r[0] + r.slice(2) : r, +e.slice(n + 1)];
}
function Ms(e) {
	return e = js(Math.abs(e)), e ? e[1] : NaN;
}
function Ns(e, t) {
	return function(n, r) {
		for (var i = n.length, a = [], o = 0, s = e[0], c = 0; i > 0 && s > 0 && (c + s + 1 > r && (s = Math.max(1, r - c)), a.push(n.substring(i -= s, i + s)), !((c += s + 1) > r));) s = e[o = (o + 1) % e.length];
		return a.reverse().join(t);
	};
}
function Ps(e) {
	return function(t) {
		return t.replace(/[0-9]/g, function(t) {
			return e[+t];
		});
	};
}
var Fs = /^(?:(.)?([<>=^]))?([+\-( ])?([$#])?(0)?(\d+)?(,)?(\.\d+)?(~)?([a-z%])?$/i;
function Is(e) {
	if (!(t = Fs.exec(e))) throw Error("invalid format: " + e);
	var t;
	return new Ls({
		fill: t[1],
		align: t[2],
		sign: t[3],
		symbol: t[4],
		zero: t[5],
		width: t[6],
		comma: t[7],
		precision: t[8] && t[8].slice(1),
		trim: t[9],
		type: t[10]
	});
}
Is.prototype = Ls.prototype;
function Ls(e) {
	this.fill = e.fill === void 0 ? " " : e.fill + "", this.align = e.align === void 0 ? ">" : e.align + "", this.sign = e.sign === void 0 ? "-" : e.sign + "", this.symbol = e.symbol === void 0 ? "" : e.symbol + "", this.zero = !!e.zero, this.width = e.width === void 0 ? void 0 : +e.width, this.comma = !!e.comma, this.precision = e.precision === void 0 ? void 0 : +e.precision, this.trim = !!e.trim, this.type = e.type === void 0 ? "" : e.type + "";
}
Ls.prototype.toString = function() {
	return this.fill + this.align + this.sign + this.symbol + (this.zero ? "0" : "") + (this.width === void 0 ? "" : Math.max(1, this.width | 0)) + (this.comma ? "," : "") + (this.precision === void 0 ? "" : "." + Math.max(0, this.precision | 0)) + (this.trim ? "~" : "") + this.type;
};
function Rs(e) {
	e: for (var t = e.length, n = 1, r = -1, i; n < t; ++n) switch (e[n]) {
		case ".":
			r = i = n;
			break;
		case "0":
			r === 0 && (r = n), i = n;
			break;
		default:
			if (!+e[n]) break e;
			r > 0 && (r = 0);
	}
	return r > 0 ? e.slice(0, r) + e.slice(i + 1) : e;
}
var zs;
function Bs(e, t) {
	var n = js(e, t);
	if (!n) return zs = void 0, e.toPrecision(t);
	var r = n[0], i = n[1], a = i - (zs = Math.max(-8, Math.min(8, Math.floor(i / 3))) * 3) + 1, o = r.length;
	return a === o ? r : a > o ? r + Array(a - o + 1).join("0") : a > 0 ? r.slice(0, a) + "." + r.slice(a) : "0." + Array(1 - a).join("0") + js(e, Math.max(0, t + a - 1))[0];
}
function Vs(e, t) {
	var n = js(e, t);
	if (!n) return e + "";
	var r = n[0], i = n[1];
	return i < 0 ? "0." + Array(-i).join("0") + r : r.length > i + 1 ? r.slice(0, i + 1) + "." + r.slice(i + 1) : r + Array(i - r.length + 2).join("0");
}
var Hs = {
	"%": (e, t) => (e * 100).toFixed(t),
	b: (e) => Math.round(e).toString(2),
	c: (e) => e + "",
	d: As,
	e: (e, t) => e.toExponential(t),
	f: (e, t) => e.toFixed(t),
	g: (e, t) => e.toPrecision(t),
	o: (e) => Math.round(e).toString(8),
	p: (e, t) => Vs(e * 100, t),
	r: Vs,
	s: Bs,
	X: (e) => Math.round(e).toString(16).toUpperCase(),
	x: (e) => Math.round(e).toString(16)
};
function Us(e) {
	return e;
}
var Ws = Array.prototype.map, Gs = [
	"y",
	"z",
	"a",
	"f",
	"p",
	"n",
	"µ",
	"m",
	"",
	"k",
	"M",
	"G",
	"T",
	"P",
	"E",
	"Z",
	"Y"
];
function Ks(e) {
	var t = e.grouping === void 0 || e.thousands === void 0 ? Us : Ns(Ws.call(e.grouping, Number), e.thousands + ""), n = e.currency === void 0 ? "" : e.currency[0] + "", r = e.currency === void 0 ? "" : e.currency[1] + "", i = e.decimal === void 0 ? "." : e.decimal + "", a = e.numerals === void 0 ? Us : Ps(Ws.call(e.numerals, String)), o = e.percent === void 0 ? "%" : e.percent + "", s = e.minus === void 0 ? "−" : e.minus + "", c = e.nan === void 0 ? "NaN" : e.nan + "";
	function l(e, l) {
		e = Is(e);
		var u = e.fill, d = e.align, f = e.sign, p = e.symbol, m = e.zero, h = e.width, g = e.comma, _ = e.precision, v = e.trim, y = e.type;
		y === "n" ? (g = !0, y = "g") : Hs[y] || (_ === void 0 && (_ = 12), v = !0, y = "g"), (m || u === "0" && d === "=") && (m = !0, u = "0", d = "=");
		var b = (l && l.prefix !== void 0 ? l.prefix : "") + (p === "$" ? n : p === "#" && /[boxX]/.test(y) ? "0" + y.toLowerCase() : ""), x = (p === "$" ? r : /[%p]/.test(y) ? o : "") + (l && l.suffix !== void 0 ? l.suffix : ""), S = Hs[y], ee = /[defgprs%]/.test(y);
		_ = _ === void 0 ? 6 : /[gprs]/.test(y) ? Math.max(1, Math.min(21, _)) : Math.max(0, Math.min(20, _));
		function C(e) {
			var n = b, r = x, o, l, p;
			if (y === "c") r = S(e) + r, e = "";
			else {
				e = +e;
				var C = e < 0 || 1 / e < 0;
				if (e = isNaN(e) ? c : S(Math.abs(e), _), v && (e = Rs(e)), C && +e == 0 && f !== "+" && (C = !1), n = (C ? f === "(" ? f : s : f === "-" || f === "(" ? "" : f) + n, r = (y === "s" && !isNaN(e) && zs !== void 0 ? Gs[8 + zs / 3] : "") + r + (C && f === "(" ? ")" : ""), ee) {
					for (o = -1, l = e.length; ++o < l;) if (p = e.charCodeAt(o), 48 > p || p > 57) {
						r = (p === 46 ? i + e.slice(o + 1) : e.slice(o)) + r, e = e.slice(0, o);
						break;
					}
				}
			}
			g && !m && (e = t(e, 1e400));
			var te = n.length + e.length + r.length, ne = te < h ? Array(h - te + 1).join(u) : "";
			switch (g && m && (e = t(ne + e, ne.length ? h - r.length : 1e400), ne = ""), d) {
				case "<":
					e = n + e + r + ne;
					break;
				case "=":
					e = n + ne + e + r;
					break;
				case "^":
					e = ne.slice(0, te = ne.length >> 1) + n + e + r + ne.slice(te);
					break;
				default: e = ne + n + e + r;
			}
			return a(e);
		}
		return C.toString = function() {
			return e + "";
		}, C;
	}
	function u(e, t) {
		var n = Math.max(-8, Math.min(8, Math.floor(Ms(t) / 3))) * 3, r = 10 ** -n, i = l((e = Is(e), e.type = "f", e), { suffix: Gs[8 + n / 3] });
		return function(e) {
			return i(r * e);
		};
	}
	return {
		format: l,
		formatPrefix: u
	};
}
var qs, Js, Ys;
Xs({
	thousands: ",",
	grouping: [3],
	currency: ["$", ""]
});
function Xs(e) {
	return qs = Ks(e), Js = qs.format, Ys = qs.formatPrefix, qs;
}
function Zs(e) {
	return Math.max(0, -Ms(Math.abs(e)));
}
function Qs(e, t) {
	return Math.max(0, Math.max(-8, Math.min(8, Math.floor(Ms(t) / 3))) * 3 - Ms(Math.abs(e)));
}
function $s(e, t) {
	return e = Math.abs(e), t = Math.abs(t) - e, Math.max(0, Ms(t) - Ms(e)) + 1;
}
// node_modules/d3-scale/dist/d3-scale.mjs
function ec(e, t) {
	switch (arguments.length) {
		case 0: break;
		case 1:
			this.range(e);
			break;
		default: this.range(t).domain(e);
	}
	return this;
}
function tc(e) {
	return function() {
		return e;
	};
}
function nc(e) {
	return +e;
}
var rc = [0, 1];
function ic(e) {
	return e;
}
function ac(e, t) {
	return (t -= e = +e) ? function(n) {
		return (n - e) / t;
	} : tc(isNaN(t) ? NaN : .5);
}
function oc(e, t) {
	var n;
	return e > t && (n = e, e = t, t = n), function(n) {
		return Math.max(e, Math.min(t, n));
	};
}
function sc(e, t, n) {
	var r = e[0], i = e[1], a = t[0], o = t[1];
	return i < r ? (r = ac(i, r), a = n(o, a)) : (r = ac(r, i), a = n(a, o)), function(e) {
		return a(r(e));
	};
}
function cc(e, t, n) {
	var r = Math.min(e.length, t.length) - 1, i = Array(r), a = Array(r), o = -1;
	for (e[r] < e[0] && (e = e.slice().reverse(), t = t.slice().reverse()); ++o < r;) i[o] = ac(e[o], e[o + 1]), a[o] = n(t[o], t[o + 1]);
	return function(t) {
		var n = Na(e, t, 1, r) - 1;
		return a[n](i[n](t));
	};
}
function lc(e, t) {
	return t.domain(e.domain()).range(e.range()).interpolate(e.interpolate()).clamp(e.clamp()).unknown(e.unknown());
}
function uc() {
	var e = rc, t = rc, n = Cs, r, i, a, o = ic, s, c, l;
	function u() {
		var n = Math.min(e.length, t.length);
		return o !== ic && (o = oc(e[0], e[n - 1])), s = n > 2 ? cc : sc, c = l = null, d;
	}
	function d(i) {
		return i == null || isNaN(i = +i) ? a : (c ||= s(e.map(r), t, n))(r(o(i)));
	}
	return d.invert = function(n) {
		return o(i((l ||= s(t, e.map(r), gs))(n)));
	}, d.domain = function(t) {
		return arguments.length ? (e = Array.from(t, nc), u()) : e.slice();
	}, d.range = function(e) {
		return arguments.length ? (t = Array.from(e), u()) : t.slice();
	}, d.rangeRound = function(e) {
		return t = Array.from(e), n = ws, u();
	}, d.clamp = function(e) {
		return arguments.length ? (o = e ? !0 : ic, u()) : o !== ic;
	}, d.interpolate = function(e) {
		return arguments.length ? (n = e, u()) : n;
	}, d.unknown = function(e) {
		return arguments.length ? (a = e, d) : a;
	}, function(e, t) {
		return r = e, i = t, u();
	};
}
function dc() {
	return uc()(ic, ic);
}
function fc(e, t, n, r) {
	var i = Ba(e, t, n), a;
	switch (r = Is(r ?? ",f"), r.type) {
		case "s":
			var o = Math.max(Math.abs(e), Math.abs(t));
			return r.precision == null && !isNaN(a = Qs(i, o)) && (r.precision = a), Ys(r, o);
		case "":
		case "e":
		case "g":
		case "p":
		case "r":
			r.precision == null && !isNaN(a = $s(i, Math.max(Math.abs(e), Math.abs(t)))) && (r.precision = a - (r.type === "e"));
			break;
		case "f":
		case "%": r.precision == null && !isNaN(a = Zs(i)) && (r.precision = a - (r.type === "%") * 2);
	}
	return Js(r);
}
function pc(e) {
	var t = e.domain;
	return e.ticks = function(e) {
		var n = t();
		return Ra(n[0], n[n.length - 1], e ?? 10);
	}, e.tickFormat = function(e, n) {
		var r = t();
		return fc(r[0], r[r.length - 1], e ?? 10, n);
	}, e.nice = function(n) {
		n ??= 10;
		var r = t(), i = 0, a = r.length - 1, o = r[i], s = r[a], c, l, u = 10;
		for (s < o && (l = o, o = s, s = l, l = i, i = a, a = l); u-- > 0;) {
			if (l = za(o, s, n), l === c) return r[i] = o, r[a] = s, t(r);
			if (l > 0) o = Math.floor(o / l) * l, s = Math.ceil(s / l) * l;
			else if (l < 0) o = Math.ceil(o * l) / l, s = Math.floor(s * l) / l;
			else break;
			c = l;
		}
		return e;
	}, e;
}
function mc() {
	var e = dc();
	return e.copy = function() {
		return lc(e, mc());
	}, ec.apply(e, arguments), pc(e);
}
// node_modules/d3-path/dist/d3-path.mjs
var hc = Math.PI, gc = 2 * hc, _c = 1e-6, vc = gc - _c;
function yc(e) {
	this._ += e[0];
	for (let t = 1, n = e.length; t < n; ++t) this._ += arguments[t] + e[t];
}
function bc(e) {
	let t = Math.floor(e);
	if (!(t >= 0)) throw Error(`invalid digits: ${e}`);
	if (t > 15) return yc;
	let n = 10 ** t;
	return function(e) {
		this._ += e[0];
		for (let t = 1, r = e.length; t < r; ++t) this._ += Math.round(arguments[t] * n) / n + e[t];
	};
}
function xc(e, t, n, r) {
	return e === n && t === r;
}
function Sc(e) {
	let t = Math.floor(e);
	if (!(t <= 15)) return xc;
	let n = 10 ** t, r = function(e) {
		return Math.round(e * n);
	};
	return function(e, t, n, i) {
		return r(e) === r(n) && r(t) === r(i);
	};
}
var Cc = class {
	constructor(e) {
		this._x0 = this._y0 = this._x1 = this._y1 = null, this._ = "", this._append = e == null ? yc : bc(e), this._equal = e == null ? xc : Sc(e);
	}
	moveTo(e, t) {
		this._append`M${this._x0 = this._x1 = +e},${this._y0 = this._y1 = +t}`;
	}
	closePath() {
		this._x1 !== null && (this._x1 = this._x0, this._y1 = this._y0, this._append`Z`);
	}
	lineTo(e, t) {
		this._append`L${this._x1 = +e},${this._y1 = +t}`;
	}
	quadraticCurveTo(e, t, n, r) {
		this._append`Q${+e},${+t},${this._x1 = +n},${this._y1 = +r}`;
	}
	bezierCurveTo(e, t, n, r, i, a) {
		this._append`C${+e},${+t},${+n},${+r},${this._x1 = +i},${this._y1 = +a}`;
	}
	arcTo(e, t, n, r, i) {
		if (e = +e, t = +t, n = +n, r = +r, i = +i, i < 0) throw Error(`negative radius: ${i}`);
		let a = this._x1, o = this._y1, s = n - e, c = r - t, l = a - e, u = o - t, d = l * l + u * u;
		if (this._x1 === null) this._append`M${this._x1 = e},${this._y1 = t}`;
		else if (d > _c) {
			if (!(Math.abs(u * s - c * l) > _c) || !i) this._append`L${this._x1 = e},${this._y1 = t}`;
			else {
				let f = n - a, p = r - o, m = s * s + c * c, h = f * f + p * p, g = Math.sqrt(m), _ = Math.sqrt(d), v = i * Math.tan((hc - Math.acos((m + d - h) / (2 * g * _))) / 2), y = v / _, b = v / g;
				Math.abs(y - 1) > _c && this._append`L${e + y * l},${t + y * u}`, this._append`A${i},${i},0,0,${+(u * f > l * p)},${this._x1 = e + b * s},${this._y1 = t + b * c}`;
			}
		}
	}
	arc(e, t, n, r, i, a) {
		if (e = +e, t = +t, n = +n, a = !!a, n < 0) throw Error(`negative radius: ${n}`);
		let o = n * Math.cos(r), s = n * Math.sin(r), c = e + o, l = t + s, u = 1 ^ a, d = a ? r - i : i - r;
		if (this._x1 === null ? this._append`M${c},${l}` : (Math.abs(this._x1 - c) > _c || Math.abs(this._y1 - l) > _c) && this._append`L${c},${l}`, n) {
			if (d < 0 && (d = d % gc + gc), d > vc) this._append`A${n},${n},0,1,${u},${e - o},${t - s}A${n},${n},0,1,${u},${this._x1 = c},${this._y1 = l}`;
			else if (d > _c) {
				let a = e + n * Math.cos(i), o = t + n * Math.sin(i);
				if (d >= hc && this._equal(c, l, a, o)) {
					d /= 2;
					let i = r + d;
					this._append`A${n},${n},0,${+(d >= hc)},${u},${e + n * Math.cos(i)},${t + n * Math.sin(i)}`;
				}
				this._append`A${n},${n},0,${+(d >= hc)},${u},${this._x1 = a},${this._y1 = o}`;
			}
		}
	}
	rect(e, t, n, r) {
		this._append`M${this._x0 = this._x1 = +e},${this._y0 = this._y1 = +t}h${n = +n}v${+r}h${-n}Z`;
	}
	toString() {
		return this._;
	}
};
Cc.prototype;
// node_modules/d3-shape/dist/d3-shape.mjs
function wc(e) {
	return function() {
		return e;
	};
}
var Tc = Math.cos, Ec = Math.sin, Dc = Math.sqrt, Oc = 1e-12, kc = Math.PI;
kc / 2;
var Ac = 2 * kc;
function jc(e) {
	let t = 3;
	return e.digits = function(n) {
		if (!arguments.length) return t;
		if (n == null) t = null;
		else {
			let e = Math.floor(n);
			if (!(e >= 0)) throw RangeError(`invalid digits: ${n}`);
			t = e;
		}
		return e;
	}, () => new Cc(t);
}
Array.prototype.slice;
function Mc(e) {
	return typeof e == "object" && "length" in e ? e : Array.from(e);
}
function Nc(e) {
	this._context = e;
}
Nc.prototype = {
	areaStart: function() {
		this._line = 0;
	},
	areaEnd: function() {
		this._line = NaN;
	},
	lineStart: function() {
		this._point = 0;
	},
	lineEnd: function() {
		(this._line || this._line !== 0 && this._point === 1) && this._context.closePath(), this._line = 1 - this._line;
	},
	point: function(e, t) {
		switch (e = +e, t = +t, this._point) {
			case 0:
				this._point = 1, this._line ? this._context.lineTo(e, t) : this._context.moveTo(e, t);
				break;
			case 1: this._point = 2;
			default: this._context.lineTo(e, t);
		}
	}
};
function Pc(e) {
	return new Nc(e);
}
function Fc(e) {
	return e[0];
}
function Ic(e) {
	return e[1];
}
function Lc(e, t) {
	var n = wc(!0), r = null, i = Pc, a = null, o = jc(s);
	e = typeof e == "function" ? e : e === void 0 ? Fc : wc(e), t = typeof t == "function" ? t : t === void 0 ? Ic : wc(t);
	function s(s) {
		var c, l = (s = Mc(s)).length, u, d = !1, f;
		for (r ?? (a = i(f = o())), c = 0; c <= l; ++c) !(c < l && n(u = s[c], c, s)) === d && ((d = !d) ? a.lineStart() : a.lineEnd()), d && a.point(+e(u, c, s), +t(u, c, s));
		if (f) return a = null, f + "" || null;
	}
	return s.x = function(t) {
		return arguments.length ? (e = typeof t == "function" ? t : wc(+t), s) : e;
	}, s.y = function(e) {
		return arguments.length ? (t = typeof e == "function" ? e : wc(+e), s) : t;
	}, s.defined = function(e) {
		return arguments.length ? (n = typeof e == "function" ? e : wc(!!e), s) : n;
	}, s.curve = function(e) {
		return arguments.length ? (i = e, r != null && (a = i(r)), s) : i;
	}, s.context = function(e) {
		return arguments.length ? (e == null ? r = a = null : a = i(r = e), s) : r;
	}, s;
}
function Rc(e, t, n) {
	var r = null, i = wc(!0), a = null, o = Pc, s = null, c = jc(l);
	e = typeof e == "function" ? e : e === void 0 ? Fc : wc(+e), t = typeof t == "function" ? t : wc(t === void 0 ? 0 : +t), n = typeof n == "function" ? n : n === void 0 ? Ic : wc(+n);
	function l(l) {
		var u, d, f, p = (l = Mc(l)).length, m, h = !1, g, _ = Array(p), v = Array(p);
		for (a ?? (s = o(g = c())), u = 0; u <= p; ++u) {
			if (!(u < p && i(m = l[u], u, l)) === h) {
				if (h = !h) d = u, s.areaStart(), s.lineStart();
				else {
					for (s.lineEnd(), s.lineStart(), f = u - 1; f >= d; --f) s.point(_[f], v[f]);
					s.lineEnd(), s.areaEnd();
				}
			}
			h && (_[u] = +e(m, u, l), v[u] = +t(m, u, l), s.point(r ? +r(m, u, l) : _[u], n ? +n(m, u, l) : v[u]));
		}
		if (g) return s = null, g + "" || null;
	}
	function u() {
		return Lc().defined(i).curve(o).context(a);
	}
	return l.x = function(t) {
		return arguments.length ? (e = typeof t == "function" ? t : wc(+t), r = null, l) : e;
	}, l.x0 = function(t) {
		return arguments.length ? (e = typeof t == "function" ? t : wc(+t), l) : e;
	}, l.x1 = function(e) {
		return arguments.length ? (r = e == null ? null : typeof e == "function" ? e : wc(+e), l) : r;
	}, l.y = function(e) {
		return arguments.length ? (t = typeof e == "function" ? e : wc(+e), n = null, l) : t;
	}, l.y0 = function(e) {
		return arguments.length ? (t = typeof e == "function" ? e : wc(+e), l) : t;
	}, l.y1 = function(e) {
		return arguments.length ? (n = e == null ? null : typeof e == "function" ? e : wc(+e), l) : n;
	}, l.lineX0 = l.lineY0 = function() {
		return u().x(e).y(t);
	}, l.lineY1 = function() {
		return u().x(e).y(n);
	}, l.lineX1 = function() {
		return u().x(r).y(t);
	}, l.defined = function(e) {
		return arguments.length ? (i = typeof e == "function" ? e : wc(!!e), l) : i;
	}, l.curve = function(e) {
		return arguments.length ? (o = e, a != null && (s = o(a)), l) : o;
	}, l.context = function(e) {
		return arguments.length ? (e == null ? a = s = null : s = o(a = e), l) : a;
	}, l;
}
Bc(Pc);
function zc(e) {
	this._curve = e;
}
zc.prototype = {
	areaStart: function() {
		this._curve.areaStart();
	},
	areaEnd: function() {
		this._curve.areaEnd();
	},
	lineStart: function() {
		this._curve.lineStart();
	},
	lineEnd: function() {
		this._curve.lineEnd();
	},
	point: function(e, t) {
		this._curve.point(t * Math.sin(e), t * -Math.cos(e));
	}
};
function Bc(e) {
	function t(t) {
		return new zc(e(t));
	}
	return t._curve = e, t;
}
Dc(3), Dc(1 / 3) * 2;
var Vc = Ec(kc / 10) / Ec(7 * kc / 10);
Ec(Ac / 10) * Vc, -Tc(Ac / 10) * Vc, Dc(3), Dc(3), Dc(3) / 2, (1 / Dc(12) / 2 + 1) * 3;
function Hc() {}
function Uc(e, t, n) {
	e._context.bezierCurveTo((2 * e._x0 + e._x1) / 3, (2 * e._y0 + e._y1) / 3, (e._x0 + 2 * e._x1) / 3, (e._y0 + 2 * e._y1) / 3, (e._x0 + 4 * e._x1 + t) / 6, (e._y0 + 4 * e._y1 + n) / 6);
}
function Wc(e) {
	this._context = e;
}
Wc.prototype = {
	areaStart: function() {
		this._line = 0;
	},
	areaEnd: function() {
		this._line = NaN;
	},
	lineStart: function() {
		this._x0 = this._x1 = this._y0 = this._y1 = NaN, this._point = 0;
	},
	lineEnd: function() {
		switch (this._point) {
			case 3: Uc(this, this._x1, this._y1);
			case 2: this._context.lineTo(this._x1, this._y1);
		}
		(this._line || this._line !== 0 && this._point === 1) && this._context.closePath(), this._line = 1 - this._line;
	},
	point: function(e, t) {
		switch (e = +e, t = +t, this._point) {
			case 0:
				this._point = 1, this._line ? this._context.lineTo(e, t) : this._context.moveTo(e, t);
				break;
			case 1:
				this._point = 2;
				break;
			case 2: this._point = 3, this._context.lineTo((5 * this._x0 + this._x1) / 6, (5 * this._y0 + this._y1) / 6);
			default: Uc(this, e, t);
		}
		this._x0 = this._x1, this._x1 = e, this._y0 = this._y1, this._y1 = t;
	}
};
function Gc(e, t) {
	this._basis = new Wc(e), this._beta = t;
}
Gc.prototype = {
	lineStart: function() {
		this._x = [], this._y = [], this._basis.lineStart();
	},
	lineEnd: function() {
		var e = this._x, t = this._y, n = e.length - 1;
		if (n > 0) for (var r = e[0], i = t[0], a = e[n] - r, o = t[n] - i, s = -1, c; ++s <= n;) c = s / n, this._basis.point(this._beta * e[s] + (1 - this._beta) * (r + c * a), this._beta * t[s] + (1 - this._beta) * (i + c * o));
		this._x = this._y = null, this._basis.lineEnd();
	},
	point: function(e, t) {
		this._x.push(+e), this._y.push(+t);
	}
}, (function e(t) {
	function n(e) {
		return t === 1 ? new Wc(e) : new Gc(e, t);
	}
	return n.beta = function(t) {
		return e(+t);
	}, n;
})(.85);
function Kc(e, t, n) {
	e._context.bezierCurveTo(e._x1 + e._k * (e._x2 - e._x0), e._y1 + e._k * (e._y2 - e._y0), e._x2 + e._k * (e._x1 - t), e._y2 + e._k * (e._y1 - n), e._x2, e._y2);
}
function qc(e, t) {
	this._context = e, this._k = (1 - t) / 6;
}
qc.prototype = {
	areaStart: function() {
		this._line = 0;
	},
	areaEnd: function() {
		this._line = NaN;
	},
	lineStart: function() {
		this._x0 = this._x1 = this._x2 = this._y0 = this._y1 = this._y2 = NaN, this._point = 0;
	},
	lineEnd: function() {
		switch (this._point) {
			case 2:
				this._context.lineTo(this._x2, this._y2);
				break;
			case 3: Kc(this, this._x1, this._y1);
		}
		(this._line || this._line !== 0 && this._point === 1) && this._context.closePath(), this._line = 1 - this._line;
	},
	point: function(e, t) {
		switch (e = +e, t = +t, this._point) {
			case 0:
				this._point = 1, this._line ? this._context.lineTo(e, t) : this._context.moveTo(e, t);
				break;
			case 1:
				this._point = 2, this._x1 = e, this._y1 = t;
				break;
			case 2: this._point = 3;
			default: Kc(this, e, t);
		}
		this._x0 = this._x1, this._x1 = this._x2, this._x2 = e, this._y0 = this._y1, this._y1 = this._y2, this._y2 = t;
	}
}, (function e(t) {
	function n(e) {
		return new qc(e, t);
	}
	return n.tension = function(t) {
		return e(+t);
	}, n;
})(0);
function Jc(e, t) {
	this._context = e, this._k = (1 - t) / 6;
}
Jc.prototype = {
	areaStart: Hc,
	areaEnd: Hc,
	lineStart: function() {
		this._x0 = this._x1 = this._x2 = this._x3 = this._x4 = this._x5 = this._y0 = this._y1 = this._y2 = this._y3 = this._y4 = this._y5 = NaN, this._point = 0;
	},
	lineEnd: function() {
		switch (this._point) {
			case 1:
				this._context.moveTo(this._x3, this._y3), this._context.closePath();
				break;
			case 2:
				this._context.lineTo(this._x3, this._y3), this._context.closePath();
				break;
			case 3: this.point(this._x3, this._y3), this.point(this._x4, this._y4), this.point(this._x5, this._y5);
		}
	},
	point: function(e, t) {
		switch (e = +e, t = +t, this._point) {
			case 0:
				this._point = 1, this._x3 = e, this._y3 = t;
				break;
			case 1:
				this._point = 2, this._context.moveTo(this._x4 = e, this._y4 = t);
				break;
			case 2:
				this._point = 3, this._x5 = e, this._y5 = t;
				break;
			default: Kc(this, e, t);
		}
		this._x0 = this._x1, this._x1 = this._x2, this._x2 = e, this._y0 = this._y1, this._y1 = this._y2, this._y2 = t;
	}
}, (function e(t) {
	function n(e) {
		return new Jc(e, t);
	}
	return n.tension = function(t) {
		return e(+t);
	}, n;
})(0);
function Yc(e, t) {
	this._context = e, this._k = (1 - t) / 6;
}
Yc.prototype = {
	areaStart: function() {
		this._line = 0;
	},
	areaEnd: function() {
		this._line = NaN;
	},
	lineStart: function() {
		this._x0 = this._x1 = this._x2 = this._y0 = this._y1 = this._y2 = NaN, this._point = 0;
	},
	lineEnd: function() {
		(this._line || this._line !== 0 && this._point === 3) && this._context.closePath(), this._line = 1 - this._line;
	},
	point: function(e, t) {
		switch (e = +e, t = +t, this._point) {
			case 0:
				this._point = 1;
				break;
			case 1:
				this._point = 2;
				break;
			case 2:
				this._point = 3, this._line ? this._context.lineTo(this._x2, this._y2) : this._context.moveTo(this._x2, this._y2);
				break;
			case 3: this._point = 4;
			default: Kc(this, e, t);
		}
		this._x0 = this._x1, this._x1 = this._x2, this._x2 = e, this._y0 = this._y1, this._y1 = this._y2, this._y2 = t;
	}
}, (function e(t) {
	function n(e) {
		return new Yc(e, t);
	}
	return n.tension = function(t) {
		return e(+t);
	}, n;
})(0);
function Xc(e, t, n) {
	var r = e._x1, i = e._y1, a = e._x2, o = e._y2;
	if (e._l01_a > Oc) {
		var s = 2 * e._l01_2a + 3 * e._l01_a * e._l12_a + e._l12_2a, c = 3 * e._l01_a * (e._l01_a + e._l12_a);
		r = (r * s - e._x0 * e._l12_2a + e._x2 * e._l01_2a) / c, i = (i * s - e._y0 * e._l12_2a + e._y2 * e._l01_2a) / c;
	}
	if (e._l23_a > Oc) {
		var l = 2 * e._l23_2a + 3 * e._l23_a * e._l12_a + e._l12_2a, u = 3 * e._l23_a * (e._l23_a + e._l12_a);
		a = (a * l + e._x1 * e._l23_2a - t * e._l12_2a) / u, o = (o * l + e._y1 * e._l23_2a - n * e._l12_2a) / u;
	}
	e._context.bezierCurveTo(r, i, a, o, e._x2, e._y2);
}
function Zc(e, t) {
	this._context = e, this._alpha = t;
}
Zc.prototype = {
	areaStart: function() {
		this._line = 0;
	},
	areaEnd: function() {
		this._line = NaN;
	},
	lineStart: function() {
		this._x0 = this._x1 = this._x2 = this._y0 = this._y1 = this._y2 = NaN, this._l01_a = this._l12_a = this._l23_a = this._l01_2a = this._l12_2a = this._l23_2a = this._point = 0;
	},
	lineEnd: function() {
		switch (this._point) {
			case 2:
				this._context.lineTo(this._x2, this._y2);
				break;
			case 3: this.point(this._x2, this._y2);
		}
		(this._line || this._line !== 0 && this._point === 1) && this._context.closePath(), this._line = 1 - this._line;
	},
	point: function(e, t) {
		if (e = +e, t = +t, this._point) {
			var n = this._x2 - e, r = this._y2 - t;
			this._l23_a = Math.sqrt(this._l23_2a = (n * n + r * r) ** +this._alpha);
		}
		switch (this._point) {
			case 0:
				this._point = 1, this._line ? this._context.lineTo(e, t) : this._context.moveTo(e, t);
				break;
			case 1:
				this._point = 2;
				break;
			case 2: this._point = 3;
			default: Xc(this, e, t);
		}
		this._l01_a = this._l12_a, this._l12_a = this._l23_a, this._l01_2a = this._l12_2a, this._l12_2a = this._l23_2a, this._x0 = this._x1, this._x1 = this._x2, this._x2 = e, this._y0 = this._y1, this._y1 = this._y2, this._y2 = t;
	}
}, (function e(t) {
	function n(e) {
		return t ? new Zc(e, t) : new qc(e, 0);
	}
	return n.alpha = function(t) {
		return e(+t);
	}, n;
})(.5);
function Qc(e, t) {
	this._context = e, this._alpha = t;
}
Qc.prototype = {
	areaStart: Hc,
	areaEnd: Hc,
	lineStart: function() {
		this._x0 = this._x1 = this._x2 = this._x3 = this._x4 = this._x5 = this._y0 = this._y1 = this._y2 = this._y3 = this._y4 = this._y5 = NaN, this._l01_a = this._l12_a = this._l23_a = this._l01_2a = this._l12_2a = this._l23_2a = this._point = 0;
	},
	lineEnd: function() {
		switch (this._point) {
			case 1:
				this._context.moveTo(this._x3, this._y3), this._context.closePath();
				break;
			case 2:
				this._context.lineTo(this._x3, this._y3), this._context.closePath();
				break;
			case 3: this.point(this._x3, this._y3), this.point(this._x4, this._y4), this.point(this._x5, this._y5);
		}
	},
	point: function(e, t) {
		if (e = +e, t = +t, this._point) {
			var n = this._x2 - e, r = this._y2 - t;
			this._l23_a = Math.sqrt(this._l23_2a = (n * n + r * r) ** +this._alpha);
		}
		switch (this._point) {
			case 0:
				this._point = 1, this._x3 = e, this._y3 = t;
				break;
			case 1:
				this._point = 2, this._context.moveTo(this._x4 = e, this._y4 = t);
				break;
			case 2:
				this._point = 3, this._x5 = e, this._y5 = t;
				break;
			default: Xc(this, e, t);
		}
		this._l01_a = this._l12_a, this._l12_a = this._l23_a, this._l01_2a = this._l12_2a, this._l12_2a = this._l23_2a, this._x0 = this._x1, this._x1 = this._x2, this._x2 = e, this._y0 = this._y1, this._y1 = this._y2, this._y2 = t;
	}
}, (function e(t) {
	function n(e) {
		return t ? new Qc(e, t) : new Jc(e, 0);
	}
	return n.alpha = function(t) {
		return e(+t);
	}, n;
})(.5);
function $c(e, t) {
	this._context = e, this._alpha = t;
}
$c.prototype = {
	areaStart: function() {
		this._line = 0;
	},
	areaEnd: function() {
		this._line = NaN;
	},
	lineStart: function() {
		this._x0 = this._x1 = this._x2 = this._y0 = this._y1 = this._y2 = NaN, this._l01_a = this._l12_a = this._l23_a = this._l01_2a = this._l12_2a = this._l23_2a = this._point = 0;
	},
	lineEnd: function() {
		(this._line || this._line !== 0 && this._point === 3) && this._context.closePath(), this._line = 1 - this._line;
	},
	point: function(e, t) {
		if (e = +e, t = +t, this._point) {
			var n = this._x2 - e, r = this._y2 - t;
			this._l23_a = Math.sqrt(this._l23_2a = (n * n + r * r) ** +this._alpha);
		}
		switch (this._point) {
			case 0:
				this._point = 1;
				break;
			case 1:
				this._point = 2;
				break;
			case 2:
				this._point = 3, this._line ? this._context.lineTo(this._x2, this._y2) : this._context.moveTo(this._x2, this._y2);
				break;
			case 3: this._point = 4;
			default: Xc(this, e, t);
		}
		this._l01_a = this._l12_a, this._l12_a = this._l23_a, this._l01_2a = this._l12_2a, this._l12_2a = this._l23_2a, this._x0 = this._x1, this._x1 = this._x2, this._x2 = e, this._y0 = this._y1, this._y1 = this._y2, this._y2 = t;
	}
}, (function e(t) {
	function n(e) {
		return t ? new $c(e, t) : new Yc(e, 0);
	}
	return n.alpha = function(t) {
		return e(+t);
	}, n;
})(.5);
function el(e) {
	return e < 0 ? -1 : 1;
}
function tl(e, t, n) {
	var r = e._x1 - e._x0, i = t - e._x1, a = (e._y1 - e._y0) / (r || i < 0 && -0), o = (n - e._y1) / (i || r < 0 && -0), s = (a * i + o * r) / (r + i);
	return (el(a) + el(o)) * Math.min(Math.abs(a), Math.abs(o), .5 * Math.abs(s)) || 0;
}
function nl(e, t) {
	var n = e._x1 - e._x0;
	return n ? (3 * (e._y1 - e._y0) / n - t) / 2 : t;
}
function rl(e, t, n) {
	var r = e._x0, i = e._y0, a = e._x1, o = e._y1, s = (a - r) / 3;
	e._context.bezierCurveTo(r + s, i + s * t, a - s, o - s * n, a, o);
}
function il(e) {
	this._context = e;
}
il.prototype = {
	areaStart: function() {
		this._line = 0;
	},
	areaEnd: function() {
		this._line = NaN;
	},
	lineStart: function() {
		this._x0 = this._x1 = this._y0 = this._y1 = this._t0 = NaN, this._point = 0;
	},
	lineEnd: function() {
		switch (this._point) {
			case 2:
				this._context.lineTo(this._x1, this._y1);
				break;
			case 3: rl(this, this._t0, nl(this, this._t0));
		}
		(this._line || this._line !== 0 && this._point === 1) && this._context.closePath(), this._line = 1 - this._line;
	},
	point: function(e, t) {
		var n = NaN;
		if (e = +e, t = +t, e !== this._x1 || t !== this._y1) {
			switch (this._point) {
				case 0:
					this._point = 1, this._line ? this._context.lineTo(e, t) : this._context.moveTo(e, t);
					break;
				case 1:
					this._point = 2;
					break;
				case 2:
					this._point = 3, rl(this, nl(this, n = tl(this, e, t)), n);
					break;
				default: rl(this, this._t0, n = tl(this, e, t));
			}
			this._x0 = this._x1, this._x1 = e, this._y0 = this._y1, this._y1 = t, this._t0 = n;
		}
	}
}, Object.create(il.prototype).point = function(e, t) {
	il.prototype.point.call(this, t, e);
};
// src/parts/Drawing.svelte
var al = /* @__PURE__ */ U("<li><span></span> </li>"), ol = /* @__PURE__ */ U("<ul class=\"legend\"></ul>"), sl = /* @__PURE__ */ U("<figcaption> </figcaption>"), cl = /* @__PURE__ */ U("<figure><div class=\"head\"><!> <span><button class=\"plain\">SVG</button> <button class=\"plain\">PNG</button></span></div> <!> <!> <!></figure>");
function ll(e, t) {
	O(t, !0);
	let n = Gi(t, "level", 3, 3), r = Gi(t, "caption", 3, ""), i = /* @__PURE__ */ M(void 0), a = (e) => {
		let n = V(i)?.querySelector("svg");
		n && e(n, t.title);
	};
	var o = cl(), s = P(o), c = P(s);
	si(c, () => `h${n()}`, !1, (e, n) => {
		var r = Ir();
		R(() => K(r, t.title)), G(n, r);
	});
	var l = L(c, 2), u = P(l), d = L(u, 2);
	D(l), D(s);
	var f = L(s, 2);
	oi(f, () => t.children);
	var p = L(f, 2), m = (e) => {
		var n = ol();
		Y(n, 21, () => t.legend, J, (e, t) => {
			var n = al(), r = P(n);
			let i;
			var a = L(r, 1, !0);
			D(n), R(() => {
				i = X(r, "", i, {
					"border-color": V(t).colour,
					"border-top-style": V(t).dashed ? "dashed" : "solid"
				}), K(a, V(t).label);
			}), G(e, n);
		}), D(n), G(e, n);
	};
	q(p, (e) => {
		t.legend && t.legend.length > 1 && e(m);
	});
	var h = L(p, 2), g = (e) => {
		var t = sl(), n = I(t, !0);
		R(() => K(n, r())), G(e, t);
	};
	q(h, (e) => {
		r() && e(g);
	}), D(o), Hi(o, (e) => N(i, e), () => V(i)), R(() => {
		Z(u, "aria-label", `Save ${t.title} as SVG`), Z(d, "aria-label", `Save ${t.title} as PNG`);
	}), H("click", u, () => a(fa)), H("click", d, () => a(pa)), G(e, o), k();
}
Dr(["click"]);
// src/parts/LineChart.svelte
var ul = /* @__PURE__ */ W("<line stroke=\"var(--rule)\" stroke-width=\"1\"></line><text text-anchor=\"end\"> </text>", 1), dl = /* @__PURE__ */ W("<line stroke=\"var(--null)\" stroke-dasharray=\"2 4\"></line>"), fl = /* @__PURE__ */ W("<path fill-opacity=\"0.13\" stroke=\"none\"></path>"), pl = /* @__PURE__ */ W("<circle r=\"2.8\"><title> </title></circle>"), ml = /* @__PURE__ */ W("<path fill=\"none\" stroke-width=\"2\"></path><!>", 1), hl = /* @__PURE__ */ W("<text> </text>"), gl = /* @__PURE__ */ W("<a><!></a>"), _l = /* @__PURE__ */ W("<text text-anchor=\"middle\"> </text>"), vl = /* @__PURE__ */ W("<!><!>", 1), yl = /* @__PURE__ */ W("<svg role=\"group\"><text x=\"0\" y=\"11\"> </text><!><!><!><!><!></svg>");
function bl(e, t) {
	O(t, !0);
	let n = Gi(t, "names", 3, null), r = Gi(t, "xAxis", 3, ""), i = Gi(t, "range", 3, null), a = Gi(t, "marks", 19, () => []), o = /* @__PURE__ */ A(() => Math.max(0, ...(n() ?? []).map((e) => e.length))), s = /* @__PURE__ */ A(() => n() !== null && V(o) * 6.2 * n().length > 362), c = /* @__PURE__ */ A(() => V(s) ? Math.min(110, 22 + V(o) * 4.6) : r() ? 40 : 26), l = /* @__PURE__ */ A(() => t.x ?? (n() ?? []).map((e, t) => t)), u = /* @__PURE__ */ A(() => mc([Math.min(...V(l)), Math.max(...V(l), Math.min(...V(l)) + 1e-9)], [54, 400])), d = /* @__PURE__ */ A(() => t.lines.flatMap((e) => [
		...e.values,
		...e.low ?? [],
		...e.high ?? [],
		...a().map((e) => e.value)
	]).filter((e) => e !== null && Number.isFinite(e))), f = /* @__PURE__ */ A(() => mc(i() ?? [Math.min(0, ...V(d)), Math.max(...V(d), 1e-9)], [250 - V(c), 24]).nice(5)), p = (e, t) => {
		let n = e?.[t];
		return n != null && Number.isFinite(n);
	}, m = /* @__PURE__ */ A(() => Lc().x((e) => V(u)(V(l)[e] ?? 0))), h = (e) => V(m).defined((t) => p(e.values, t)).y((t) => V(f)(e.values[t] ?? 0))(V(l).map((e, t) => t)), g = (e) => Rc().defined((t) => p(e.low, t) && p(e.high, t)).x((e) => V(u)(V(l)[e] ?? 0)).y0((t) => V(f)(e.low?.[t] ?? 0)).y1((t) => V(f)(e.high?.[t] ?? 0))(V(l).map((e, t) => t)), _ = /* @__PURE__ */ A(() => `${t.title}. ${t.lines.map((e) => `${e.label}: ${e.values.map((e) => $(e)).join(", ")}`).join(". ")}`);
	{
		let i = /* @__PURE__ */ A(() => t.lines.map((e) => ({
			label: e.label,
			colour: e.colour,
			dashed: e.dashed
		})));
		ll(e, {
			get title() {
				return t.title;
			},
			get legend() {
				return V(i);
			},
			children: (e, i) => {
				var o = yl();
				Z(o, "viewBox", "0 0 420 250");
				var d = P(o), p = I(d, !0), m = L(d);
				Y(m, 17, () => V(f).ticks(5), J, (e, t) => {
					var n = ul(), r = F(n);
					Z(r, "x1", 44), Z(r, "x2", 406);
					var i = L(r);
					Z(i, "x", 37);
					var a = I(i, !0);
					R((e, t, n, o) => {
						Z(r, "y1", e), Z(r, "y2", t), Z(i, "y", n), K(a, o);
					}, [
						() => V(f)(V(t)),
						() => V(f)(V(t)),
						() => V(f)(V(t)) + 4,
						() => $(V(t))
					]), G(e, n);
				});
				var v = L(m);
				Y(v, 17, a, J, (e, t) => {
					var n = dl();
					Z(n, "x1", 44), Z(n, "x2", 406), R((e, t) => {
						Z(n, "y1", e), Z(n, "y2", t);
					}, [() => V(f)(V(t).value), () => V(f)(V(t).value)]), G(e, n);
				});
				var y = L(v);
				Y(y, 17, () => t.lines, J, (e, t) => {
					var n = Lr(), r = F(n), i = (e) => {
						var n = fl();
						R((e) => {
							Z(n, "d", e), Z(n, "fill", V(t).colour);
						}, [() => g(V(t))]), G(e, n);
					};
					q(r, (e) => {
						V(t).low && V(t).high && e(i);
					}), G(e, n);
				});
				var b = L(y);
				Y(b, 17, () => t.lines, J, (e, t) => {
					var r = ml(), i = F(r);
					Y(L(i), 17, () => V(t).values, J, (e, r, i) => {
						var a = Lr(), o = F(a), s = (e) => {
							var a = pl(), o = I(P(a));
							D(a), R((e, n, r, i) => {
								Z(a, "cx", e), Z(a, "cy", n), Z(a, "fill", V(t).colour), K(o, `${r ?? ""}: ${i ?? ""} (${V(t).label ?? ""})`);
							}, [
								() => V(u)(V(l)[i] ?? 0),
								() => V(f)(V(r)),
								() => n()?.[i] ?? $(V(l)[i]),
								() => $(V(r))
							]), G(e, a);
						};
						q(o, (e) => {
							V(r) !== null && V(r) !== void 0 && e(s);
						}), G(e, a);
					}), R((e) => {
						Z(i, "d", e), Z(i, "stroke", V(t).colour), Z(i, "stroke-dasharray", V(t).dashed ? "5 4" : "none");
					}, [() => h(V(t))]), G(e, r);
				});
				var x = L(b), S = (e) => {
					var r = Lr();
					Y(F(r), 17, n, J, (e, n, r) => {
						let i = (e) => {
							var t = hl(), r = I(t, !0);
							R(() => {
								Z(t, "x", V(o)), Z(t, "y", 250 - V(c) + 17), Z(t, "text-anchor", V(s) ? "end" : "middle"), Z(t, "transform", V(s) ? `rotate(-38 ${V(o)} ${250 - V(c) + 14})` : void 0), K(r, V(n));
							}), G(e, t);
						}, a = /* @__PURE__ */ A(() => t.open?.(r)), o = /* @__PURE__ */ A(() => V(u)(V(l)[r] ?? 0));
						var d = Lr(), f = F(d), p = (e) => {
							var t = gl(), r = P(t);
							i(r), D(t), R(() => {
								Z(t, "href", V(a)), Z(t, "aria-label", `Modes of ${V(n)}`);
							}), G(e, t);
						}, m = (e) => {
							i(e);
						};
						q(f, (e) => {
							V(a) ? e(p) : e(m, -1);
						}), G(e, d);
					}), G(e, r);
				}, ee = (e) => {
					var t = vl(), n = F(t);
					Y(n, 17, () => V(u).ticks(5), J, (e, t) => {
						var n = _l(), r = I(n, !0);
						R((e, t) => {
							Z(n, "x", e), Z(n, "y", 250 - V(c) + 17), K(r, t);
						}, [() => V(u)(V(t)), () => $(V(t))]), G(e, n);
					});
					var i = L(n), a = (e) => {
						var t = _l();
						Z(t, "x", 225), Z(t, "y", 247);
						var n = I(t, !0);
						R(() => K(n, r())), G(e, t);
					};
					q(i, (e) => {
						r() && e(a);
					}), G(e, t);
				};
				q(x, (e) => {
					n() ? e(S) : e(ee, -1);
				}), D(o), R(() => {
					Z(o, "aria-label", V(_)), K(p, t.axis);
				}), G(e, o);
			},
			$$slots: { default: !0 }
		});
	}
	k();
}
// src/parts/CurveCharts.svelte
var xl = /* @__PURE__ */ U("<section><h3> </h3> <p> </p> <div class=\"charts\"><!> <!></div></section>");
function Sl(e, t) {
	O(t, !0);
	let n = [
		"var(--mode)",
		"var(--null)",
		"#0f766e",
		"#7c3aed",
		"#a16207",
		"#be185d",
		"#0891b2",
		"#4d7c0f",
		"#9333ea",
		"#b91c1c"
	], r = /* @__PURE__ */ A(() => t.curve.kind === "ablate" ? "ablated" : t.curve.kind === "preserve" ? "preserved" : t.curve.kind), i = (e) => t.curve.conditions.map((t, r) => ({
		label: r ? t.name : `mode (${t.name})`,
		colour: n[r % n.length] ?? "var(--null)",
		values: t[e].value,
		low: r ? null : t[e].low,
		high: r ? null : t[e].high,
		dashed: r > 0
	}));
	var a = xl(), o = P(a), s = I(o), c = L(o, 2), l = I(c, !0), u = L(c, 2), d = P(u);
	{
		let e = /* @__PURE__ */ A(() => `Accuracy of ${t.curve.class}`), n = /* @__PURE__ */ A(() => `fraction of units ${V(r)}`), a = /* @__PURE__ */ A(() => i("target")), o = /* @__PURE__ */ A(() => [{
			value: t.curve.before.target,
			label: "intact"
		}]);
		bl(d, {
			get title() {
				return V(e);
			},
			axis: "accuracy",
			get x() {
				return t.curve.fractions;
			},
			get xAxis() {
				return V(n);
			},
			range: [0, 1],
			get lines() {
				return V(a);
			},
			get marks() {
				return V(o);
			}
		});
	}
	var f = L(d, 2);
	{
		let e = /* @__PURE__ */ A(() => `fraction of units ${V(r)}`), n = /* @__PURE__ */ A(() => i("others")), a = /* @__PURE__ */ A(() => [{
			value: t.curve.before.others,
			label: "intact"
		}]);
		bl(f, {
			title: "Accuracy of the other classes",
			axis: "accuracy",
			get x() {
				return t.curve.fractions;
			},
			get xAxis() {
				return V(e);
			},
			range: [0, 1],
			get lines() {
				return V(n);
			},
			get marks() {
				return V(a);
			}
		});
	}
	D(u), D(a), R(() => {
		K(s, `${t.curve.class ?? ""}: units ${V(r) ?? ""} at ${t.curve.site ?? ""}`), K(l, t.curve.sentence);
	}), G(e, a), k();
}
// src/parts/Words.svelte
var Cl = /* @__PURE__ */ U("<code> </code>");
function wl(e, t) {
	O(t, !0);
	var n = Lr();
	Y(F(n), 17, () => aa(t.text), J, (e, t) => {
		var n = Lr(), r = F(n), i = (e) => {
			var n = Cl(), r = I(n, !0);
			R(() => K(r, V(t).text)), G(e, n);
		}, a = (e) => {
			var n = Ir();
			R(() => K(n, V(t).text)), G(e, n);
		};
		q(r, (e) => {
			V(t).code ? e(i) : e(a, -1);
		}), G(e, n);
	}), G(e, n), k();
}
// src/views/Control.svelte
var Tl = /* @__PURE__ */ U("<option> </option>"), El = /* @__PURE__ */ U("<label>Units are <select></select></label>"), Dl = /* @__PURE__ */ U("<label>Class <select></select></label>"), Ol = /* @__PURE__ */ U("<h2>One class</h2><!>", 1), kl = /* @__PURE__ */ U("<li><!></li>"), Al = /* @__PURE__ */ U("<h2>Over all classes</h2> <ul class=\"findings\"></ul>", 1), jl = /* @__PURE__ */ U("<h2>Removed, and alone</h2> <!>", 1), Ml = /* @__PURE__ */ U("<p class=\"lead\">More and more units are ablated, or only they are preserved, from the strongest of a mode down. Controls choose the same number of units in another way.</p> <div class=\"controls\"><label>Site <select></select></label> <!> <!></div> <!> <p><!></p> <!> <!> <!>", 1), Nl = /* @__PURE__ */ U("<h1>What modes do</h1> <!> <!>", 1);
function Pl(e, t) {
	O(t, !0);
	let n = /* @__PURE__ */ A(() => t.data.sites.find((e) => e.site === t.query.site) ?? t.data.sites[0]), r = /* @__PURE__ */ A(() => [...new Set(V(n)?.curves.map((e) => e.kind) ?? [])]), i = /* @__PURE__ */ A(() => t.query.kind && V(r).includes(t.query.kind) ? t.query.kind : V(r)[0]), a = /* @__PURE__ */ A(() => V(n)?.curves.filter((e) => e.kind === V(i)) ?? []), o = /* @__PURE__ */ A(() => V(a).find((e) => e.class === t.query.class) ?? V(a)[0]), s = (e) => t.go(Q("control", [], {
		...t.query,
		...e
	}), !0), c = (e) => ({
		columns: Object.keys(e[0] ?? {}),
		rows: e.map((e) => Object.values(e))
	});
	var l = Nl(), u = L(F(l), 2);
	ea(u, {
		what: "control curves",
		get command() {
			return t.data.missing;
		}
	});
	var d = L(u, 2), f = (e) => {
		var l = Ml(), u = L(F(l), 2), d = P(u), f = L(P(d));
		Y(f, 21, () => t.data.sites, J, (e, t) => {
			var n = Tl(), r = I(n, !0), i = {};
			R(() => {
				K(r, V(t).site), i !== (i = V(t).site) && (n.__value = i);
			}), G(e, n);
		}), D(f);
		var p;
		xi(f), D(d);
		var m = L(d, 2), h = (e) => {
			var t = El(), n = L(P(t));
			Y(n, 21, () => V(r), J, (e, t) => {
				var n = Tl(), r = I(n, !0), i = {};
				R(() => {
					K(r, V(t)), i !== (i = V(t)) && (n.__value = i);
				}), G(e, n);
			}), D(n);
			var a;
			xi(n), D(t), R(() => {
				a !== (a = V(i)) && (n.value = (n.__value = a) ?? "", bi(n, a));
			}), H("change", n, (e) => s({ kind: e.currentTarget.value })), G(e, t);
		};
		q(m, (e) => {
			V(r).length > 1 && e(h);
		});
		var g = L(m, 2), _ = (e) => {
			var t = Dl(), n = L(P(t));
			Y(n, 21, () => V(a), J, (e, t) => {
				var n = Tl(), r = I(n, !0), i = {};
				R(() => {
					K(r, V(t).class), i !== (i = V(t).class) && (n.__value = i);
				}), G(e, n);
			}), D(n);
			var r;
			xi(n), D(t), R(() => {
				r !== (r = V(o)?.class) && (n.value = (n.__value = r) ?? "", bi(n, r));
			}), H("change", n, (e) => s({ class: e.currentTarget.value })), G(e, t);
		};
		q(g, (e) => {
			V(a).length > 1 && e(_);
		}), D(u);
		var v = L(u, 2), y = (e) => {
			var t = Ol();
			Sl(L(F(t)), { get curve() {
				return V(o);
			} }), G(e, t);
		};
		q(v, (e) => {
			V(o) && e(y);
		});
		var b = L(v, 2);
		ga(P(b), { get code() {
			return t.data.python;
		} }), D(b);
		var x = L(b, 2), S = (e) => {
			var t = Al(), r = L(F(t), 2);
			Y(r, 21, () => V(n).sentences, J, (e, t) => {
				var n = kl();
				wl(P(n), { get text() {
					return V(t);
				} }), D(n), G(e, n);
			}), D(r), G(e, t);
		};
		q(x, (e) => {
			V(n).sentences.length && e(S);
		});
		var ee = L(x, 2), C = (e) => {
			let t = /* @__PURE__ */ A(() => c(V(n).comparisons));
			{
				let r = /* @__PURE__ */ A(() => `Modes and controls at ${V(n).site}`);
				Ca(e, {
					get title() {
						return V(r);
					},
					get columns() {
						return V(t).columns;
					},
					get rows() {
						return V(t).rows;
					}
				});
			}
		};
		q(ee, (e) => {
			V(n).comparisons.length && e(C);
		});
		var te = L(ee, 2), ne = (e) => {
			let t = /* @__PURE__ */ A(() => c(V(n).necessity));
			var r = jl(), i = L(F(r), 2);
			{
				let e = /* @__PURE__ */ A(() => `Effects of modes at ${V(n).site}`);
				Ca(i, {
					get title() {
						return V(e);
					},
					get columns() {
						return V(t).columns;
					},
					get rows() {
						return V(t).rows;
					},
					links: (e, r) => V(t).columns[r] === "mode" ? Q("mode", [V(n).site, Number(V(t).rows[e]?.[r])]) : null
				});
			}
			G(e, r);
		};
		q(te, (e) => {
			V(n).necessity?.length && e(ne);
		}), R(() => {
			p !== (p = V(n).site) && (f.value = (f.__value = p) ?? "", bi(f, p));
		}), H("change", f, (e) => s({ site: e.currentTarget.value })), G(e, l);
	};
	q(d, (e) => {
		V(n) && e(f);
	}), G(e, l), k();
}
Dr(["change"]);
// src/lib/flow.ts
var Fl = 230, Il = 30, Ll = 30, Rl = 9, zl = 460, Bl = 11;
function Vl(e, t, n) {
	let r = [...new Set(e.pairs.flatMap((e) => [e.source, e.sink]))], i = new Map(r.map((e, t) => [e, t])), a = e.pairs.flatMap((e) => e.edges.filter((e) => e.from !== null && e.to !== null).filter((t) => !n || Ul(e, t, n, r)).slice(0, t).map((t) => ({
		...t,
		from: t.from,
		to: t.to,
		source: e.source,
		sink: e.sink
	}))), o = (e, t) => `${i.get(e)}/${t}`, s = Wl(a, n, o), c = /* @__PURE__ */ new Map(), l = (e, t) => {
		let n = o(e, t), r = c.get(n);
		return r || c.set(n, r = {
			site: e,
			mode: t,
			into: 0,
			out: 0
		}), r;
	};
	for (let e of a) l(e.source, e.from).out += e.share, l(e.sink, e.to).into += e.share;
	let u = [], d = /* @__PURE__ */ new Map(), f = 0, p = zl / Math.max(1e-12, ...r.map((e) => [...c.values()].filter((t) => t.site === e).reduce((e, t) => e + Math.max(t.into, t.out), 0)));
	r.forEach((t, i) => {
		let a = Ll, l = [...c.values()].filter((e) => e.site === t);
		l.sort((e, t) => Math.max(t.into, t.out) - Math.max(e.into, e.out) || e.mode - t.mode);
		for (let c of l) {
			let l = e.names[t]?.[String(c.mode)] ?? "", f = {
				site: t,
				mode: c.mode,
				name: l,
				label: Hl(`${c.mode}${l ? ` · ${l}` : ""}`),
				x: Il + i * Fl,
				y: a,
				height: Math.max(Bl, Math.max(c.into, c.out) * p),
				right: i > 0 && i === r.length - 1,
				lit: !n || s.has(o(t, c.mode))
			};
			u.push(f), d.set(o(t, c.mode), f), a += f.height + Rl;
		}
		f = Math.max(f, a);
	});
	let m = /* @__PURE__ */ new Map(), h = (e, t, n) => {
		let r = `${t}${o(e.site, e.mode)}`, i = m.get(r) ?? 0;
		return m.set(r, i + n), e.y + i + n / 2;
	}, g = a.map((e) => {
		let [t, r] = [d.get(o(e.source, e.from)), d.get(o(e.sink, e.to))], i = Math.max(1, e.share * p);
		if (!t || !r) throw Error("an edge without ends");
		let [a, c] = [h(t, "out", i), h(r, "in", i)], [l, u] = [t.x + 4, r.x - 4], f = (l + u) / 2;
		return {
			...e,
			width: i,
			path: `M${l},${a.toFixed(1)}C${f},${a.toFixed(1)} ${f},${c.toFixed(1)} ${u},${c.toFixed(1)}`,
			words: `${t.label} → ${r.label}`,
			lit: !n || s.has(o(e.source, e.from)) && s.has(o(e.sink, e.to))
		};
	});
	return {
		width: 60 + (r.length - 1) * Fl,
		height: f + 6,
		columns: r.map((e, t) => ({
			site: e,
			x: Il + t * Fl
		})),
		nodes: u,
		edges: g
	};
}
var Hl = (e) => e.length > 22 ? `${e.slice(0, 21)}…` : e;
function Ul(e, t, n, r) {
	return e.source === n.site ? t.from === n.mode : e.sink !== n.site || t.to === n.mode;
}
function Wl(e, t, n) {
	let r = /* @__PURE__ */ new Set();
	if (!t) return r;
	let i = n(t.site, t.mode);
	for (let t of ["down", "up"]) {
		let a = /* @__PURE__ */ new Set([i]), o = !0;
		for (; o;) {
			o = !1;
			for (let r of e) {
				let [e, i] = [n(r.source, r.from), n(r.sink, r.to)], [s, c] = t === "down" ? [e, i] : [i, e];
				a.has(s) && !a.has(c) && (a.add(c), o = !0);
			}
		}
		a.forEach((e) => r.add(e));
	}
	return r;
}
// src/views/Flow.svelte
var Gl = /* @__PURE__ */ U("<li><!></li>"), Kl = /* @__PURE__ */ U("<button>Show all modes</button>"), ql = /* @__PURE__ */ W("<text y=\"14\" class=\"strong\" text-anchor=\"middle\"> </text>"), Jl = /* @__PURE__ */ W("<path fill=\"none\"><title> </title></path>"), Yl = /* @__PURE__ */ W("<a><rect width=\"8\" rx=\"2\" fill=\"var(--ink)\"></rect><text class=\"strong\"> </text></a>"), Xl = /* @__PURE__ */ W("<svg role=\"group\" aria-label=\"Modes of each site as columns, the flow between them as bands\"><!><!><!></svg>"), Zl = /* @__PURE__ */ U("<a> </a>"), Ql = /* @__PURE__ */ U("<ul class=\"findings\"></ul> <div class=\"controls\"><label> <input type=\"range\" min=\"4\" max=\"80\"/></label> <!></div> <div class=\"scroll\" role=\"region\" aria-label=\"Flow chart\" tabindex=\"0\"><div><!></div></div> <p class=\"small\">A band is the part of the target that passes through both modes; its width is the mean size over samples. Select a mode to follow it. <!> <!></p> <h2>Largest flows</h2> <!>", 1), $l = /* @__PURE__ */ U("<h1>Flow between modes</h1> <!> <!>", 1);
function eu(e, t) {
	O(t, !0);
	let n = /* @__PURE__ */ A(() => Math.max(4, Math.min(80, Number(t.query.most ?? 16) || 16))), r = /* @__PURE__ */ A(() => t.query.site && t.query.mode !== void 0 ? {
		site: t.query.site,
		mode: Number(t.query.mode)
	} : null), i = /* @__PURE__ */ A(() => Vl(t.data, V(n), V(r))), a = (e) => t.go(Q("flow", [], {
		...t.query,
		...e
	}), !0);
	var o = $l(), s = L(F(o), 2);
	ea(s, {
		what: "flow between modes",
		get command() {
			return t.data.missing;
		}
	});
	var c = L(s, 2), l = (e) => {
		var o = Ql(), s = F(o);
		Y(s, 21, () => t.data.sentences.slice(1, 4), J, (e, t) => {
			var n = Gl();
			wl(P(n), { get text() {
				return V(t);
			} }), D(n), G(e, n);
		}), D(s);
		var c = L(s, 2), l = P(c), u = P(l), d = L(u);
		ki(d), D(l);
		var f = L(l, 2), p = (e) => {
			var t = Kl();
			H("click", t, () => a({
				site: "",
				mode: ""
			})), G(e, t);
		};
		q(f, (e) => {
			V(r) && e(p);
		}), D(c);
		var m = L(c, 2), h = P(m);
		let g;
		var _ = P(h);
		{
			let e = /* @__PURE__ */ A(() => V(r) ? `Flow through mode ${V(r).mode} of ${V(r).site}` : "Which modes drive which");
			ll(_, {
				get title() {
					return V(e);
				},
				level: 2,
				children: (e, n) => {
					var r = Xl(), a = P(r);
					Y(a, 17, () => V(i).columns, J, (e, t) => {
						var n = ql(), r = I(n, !0);
						R(() => {
							Z(n, "x", V(t).x), K(r, V(t).site);
						}), G(e, n);
					});
					var o = L(a);
					Y(o, 17, () => V(i).edges, J, (e, n) => {
						var r = Jl(), i = I(P(r));
						D(r), R((e, a) => {
							Z(r, "d", V(n).path), Z(r, "stroke", V(n).flow >= 0 ? "var(--for)" : "var(--against)"), Z(r, "stroke-opacity", V(n).lit ? .55 : .12), Z(r, "stroke-width", V(n).width), K(i, `${V(n).words ?? ""}: ${e ?? ""}${t.unit ?? ""}, ${a ?? ""} of all`);
						}, [() => na(V(n).flow, 3), () => ra(V(n).share)]), G(e, r);
					}), Y(L(o), 17, () => V(i).nodes, J, (e, n) => {
						var r = Yl(), i = P(r), a = L(i), o = I(a, !0);
						D(r), R((e, t) => {
							Z(r, "href", e), Z(r, "aria-label", t), Z(i, "x", V(n).x - 4), Z(i, "y", V(n).y), Z(i, "height", V(n).height), Z(i, "opacity", V(n).lit ? 1 : .3), Z(a, "x", V(n).right ? V(n).x - 9 : V(n).x + 9), Z(a, "y", V(n).y + V(n).height / 2 + 4), Z(a, "text-anchor", V(n).right ? "end" : "start"), Z(a, "opacity", V(n).lit ? 1 : .4), K(o, V(n).label);
						}, [() => Q("flow", [], {
							...t.query,
							site: V(n).site,
							mode: V(n).mode
						}), () => `${V(n).label}: follow mode ${V(n).mode} of ${V(n).site}, ${ia(V(n).name)}`]), G(e, r);
					}), D(r), R(() => Z(r, "viewBox", `0 0 ${V(i).width} ${V(i).height}`)), G(e, r);
				},
				$$slots: { default: !0 }
			});
		}
		D(h), D(m);
		var v = L(m, 2), y = L(P(v));
		ga(y, { get code() {
			return t.data.python;
		} });
		var b = L(y, 2), x = (e) => {
			var t = Zl(), n = I(t);
			R((e) => {
				Z(t, "href", e), K(n, `Open mode ${V(r).mode ?? ""} of ${V(r).site ?? ""}`);
			}, [() => Q("mode", [V(r).site, V(r).mode])]), G(e, t);
		};
		q(b, (e) => {
			V(r) && e(x);
		}), D(v);
		var S = L(v, 4);
		{
			let e = /* @__PURE__ */ A(() => V(i).edges.map((e) => [
				e.source,
				e.from,
				e.sink,
				e.to,
				e.flow,
				e.share,
				e.of_sink,
				e.samples
			]));
			Ca(S, {
				title: "Flow",
				columns: [
					"from",
					"mode",
					"to",
					"mode ",
					"flow",
					"share of all",
					"share of the later mode",
					"samples"
				],
				get rows() {
					return V(e);
				},
				links: (e, t) => {
					let n = V(i).edges[e];
					return n ? t === 1 ? Q("mode", [n.source, n.from]) : t === 3 ? Q("mode", [n.sink, n.to]) : null : null;
				}
			});
		}
		R(() => {
			K(u, `Largest flows between two sites: ${V(n) ?? ""} `), Ai(d, V(n)), g = X(h, "", g, { "min-width": `${V(i).columns.length * 190}px` });
		}), H("input", d, (e) => a({ most: e.currentTarget.value })), G(e, o);
	};
	q(c, (e) => {
		t.data.pairs.length && e(l);
	}), G(e, o), k();
}
Dr(["input", "click"]);
// src/parts/LayerCharts.svelte
var tu = /* @__PURE__ */ U("<p class=\"small\"> </p>"), nu = /* @__PURE__ */ U("<div class=\"charts\"></div> <!>", 1);
function ru(e, t) {
	O(t, !0);
	let n = Gi(t, "only", 3, null), r = Gi(t, "caption", 3, ""), i = Ye("source").view("layers"), a = (e) => ({
		mode: "var(--mode)",
		contribution: "var(--contribution)",
		activation: "var(--activation)",
		null: "var(--null)",
		control: "var(--null)"
	})[e.kind];
	Qi(e, {
		get promise() {
			return i;
		},
		children: (e, t = d) => {
			var i = nu(), o = F(i);
			Y(o, 21, () => t().charts.filter((e) => !n() || n().includes(e.title)), J, (e, n) => {
				{
					let r = /* @__PURE__ */ A(() => V(n).series.map((e) => ({
						...e,
						colour: a(e),
						dashed: e.kind === "null"
					})));
					bl(e, {
						get title() {
							return V(n).title;
						},
						get axis() {
							return V(n).axis;
						},
						get names() {
							return t().sites;
						},
						open: (e) => Q("modes", [t().sites[e] ?? ""]),
						get lines() {
							return V(r);
						}
					});
				}
			}), D(o);
			var s = L(o, 2), c = (e) => {
				var t = tu();
				X(t, "", {}, { "margin-top": "0.8rem" });
				var n = I(t, !0);
				R(() => K(n, r())), G(e, t);
			};
			q(s, (e) => {
				r() && e(c);
			}), G(e, i);
		},
		$$slots: { default: !0 }
	}), k();
}
// src/views/Layers.svelte
var iu = /* @__PURE__ */ U("<li><!></li>"), au = /* @__PURE__ */ U("<h1>From layer to layer</h1> <ul class=\"findings\"></ul> <h2>Charts</h2> <!> <p class=\"small\">Shaded areas are 95 % bootstrap intervals, where these are known. Select a site to see its modes. <!></p> <h2>All numbers</h2> <!>", 1);
function ou(e, t) {
	O(t, !0);
	var n = au(), r = L(F(n), 2);
	Y(r, 21, () => t.data.sentences.slice(1), J, (e, t) => {
		var n = iu();
		wl(P(n), { get text() {
			return V(t);
		} }), D(n), G(e, n);
	}), D(r);
	var i = L(r, 4);
	ru(i, {});
	var a = L(i, 2);
	X(a, "", {}, { "margin-top": "1.2rem" }), ga(L(P(a)), { get code() {
		return t.data.python;
	} }), D(a), Ca(L(a, 4), {
		title: "Layer statistics",
		get columns() {
			return t.data.table.columns;
		},
		get rows() {
			return t.data.table.rows;
		}
	}), G(e, n), k();
}
// src/lib/overlay.ts
var su = [
	217,
	84,
	10
], cu = [
	10,
	95,
	196
];
function lu(e) {
	let t = e.length, n = e[0]?.length ?? 0, r = Math.max(1e-30, ...e.flat().map(Math.abs)), i = new Uint8ClampedArray(4 * n * t);
	return e.flat().forEach((e, t) => {
		let n = e >= 0 ? su : cu;
		i.set([...n, Math.round(215 * Math.sqrt(Math.abs(e) / r))], 4 * t);
	}), {
		width: n,
		height: t,
		data: i
	};
}
function uu(e, t) {
	let { width: n, height: r, data: i } = lu(t);
	if (!n || !r) return;
	let a = document.createElement("canvas");
	a.width = n, a.height = r;
	let o = a.getContext("2d"), s = o?.createImageData(n, r);
	if (!o || !s) return;
	s.data.set(i), o.putImageData(s, 0, 0), e.width = e.height = 224;
	let c = e.getContext("2d");
	c && (c.clearRect(0, 0, 224, 224), c.imageSmoothingQuality = "high", c.drawImage(a, 0, 0, 224, 224));
}
// src/parts/Picture.svelte
var du = /* @__PURE__ */ U("<canvas aria-hidden=\"true\"></canvas>"), fu = /* @__PURE__ */ U("<img decoding=\"async\"/> <!>", 1), pu = /* @__PURE__ */ U("<span class=\"words\"> </span>"), mu = /* @__PURE__ */ U("<span class=\"picture\"><!></span>");
function hu(e, t) {
	O(t, !0);
	let n = Gi(t, "row", 3, null), r = Gi(t, "at", 3, null), i = Gi(t, "side", 3, 192), a = Gi(t, "alt", 3, ""), o = Gi(t, "map", 3, null), s = Gi(t, "words", 3, ""), c = Ye("source"), l = /* @__PURE__ */ A(() => r() ?? (n() === null || n() < 0 ? null : c?.picture(n(), i()) ?? null)), u = /* @__PURE__ */ M(!1), d = /* @__PURE__ */ M(!1), f = /* @__PURE__ */ M(void 0);
	wn(() => {
		V(f) && o() && uu(V(f), o());
	}), wn(() => {
		V(l), N(d, !1);
	});
	var p = mu(), m = P(p), h = (e) => {
		var t = fu(), n = F(t);
		let r;
		var i = L(n, 2), s = (e) => {
			var t = du();
			Hi(t, (e) => N(f, e), () => V(f)), G(e, t);
		};
		q(i, (e) => {
			o() && e(s);
		}), R((e) => {
			Z(n, "src", V(l)), Z(n, "alt", a()), Z(n, "loading", e), r = gi(n, 1, "", null, r, { coarse: V(u) });
		}, [() => V(l).startsWith("data:") ? "eager" : "lazy"]), Er("load", n, (e) => N(u, e.currentTarget.naturalWidth <= 64)), Er("error", n, () => N(d, !0)), wr(n), G(e, t);
	}, g = (e) => {
		var t = pu(), n = I(t, !0);
		R(() => K(n, s())), G(e, t);
	};
	q(m, (e) => {
		V(l) && !V(d) ? e(h) : s() && e(g, 1);
	}), D(p), G(e, p), k();
}
// src/views/Mode.svelte
var gu = /* @__PURE__ */ U("<a> </a>"), _u = /* @__PURE__ */ U("<li><b> </b><span> </span></li>"), vu = /* @__PURE__ */ U("<li><b> </b><span>stability over fits</span></li>"), yu = /* @__PURE__ */ U("<p class=\"small\"> </p>"), bu = /* @__PURE__ */ U("<p> </p>"), xu = /* @__PURE__ */ U("<label class=\"small\"><input type=\"checkbox\"/> show where it acts: orange supports the target, blue opposes it</label>"), Su = /* @__PURE__ */ U("<li><a><!> <div class=\"about\"> </div></a></li>"), Cu = /* @__PURE__ */ U("<!> <ul class=\"gallery\"></ul> <p class=\"small\">Under each picture: its class, and the loading, which says how active the mode is.</p>", 1), wu = /* @__PURE__ */ U("<p>This mode is active in no sample.</p>"), Tu = /* @__PURE__ */ U("<h3> </h3> <ul class=\"gallery few\"></ul>", 1), Eu = /* @__PURE__ */ U("<p class=\"small\">Under near misses: the cosine of the sample’s contributions with the mode.</p>"), Du = /* @__PURE__ */ W("<text x=\"48\" text-anchor=\"end\" class=\"strong\"> </text><rect height=\"12\" fill=\"var(--for)\"><title> </title></rect><rect height=\"12\" fill=\"var(--against)\"><title> </title></rect>", 1), Ou = /* @__PURE__ */ W("<svg role=\"img\"><!><line y1=\"0\" stroke=\"var(--faint)\"></line></svg>"), ku = /* @__PURE__ */ W("<line x1=\"34\" x2=\"400\" stroke=\"var(--rule)\"></line><text x=\"28\" text-anchor=\"end\"> </text>", 1), Au = /* @__PURE__ */ W("<rect fill=\"var(--mode)\"></rect>"), ju = /* @__PURE__ */ W("<text y=\"166\" text-anchor=\"middle\"> </text>"), Mu = /* @__PURE__ */ W("<svg viewBox=\"0 0 420 190\" role=\"img\"><!><!><!><text x=\"217\" y=\"185\" text-anchor=\"middle\">loading</text></svg>"), Nu = /* @__PURE__ */ U("<section><h2>Classes</h2> <!></section>"), Pu = /* @__PURE__ */ U("<section><h3> </h3> <!></section>"), Fu = /* @__PURE__ */ U("<section><h2>Flow</h2> <div class=\"columns\"></div> <p class=\"small\"><a>Follow this mode from site to site</a></p></section>"), Iu = /* @__PURE__ */ U("<section><h2>What it does</h2> <!> <!></section>"), Lu = /* @__PURE__ */ U("<section><h2>Your name and notes</h2> <form><div class=\"controls\"><label>Name <input maxlength=\"120\"/></label></div> <label class=\"small\" for=\"note\">Notes</label> <textarea id=\"note\" maxlength=\"4000\"></textarea> <p><button class=\"primary\" type=\"submit\">Save</button> <span class=\"small\" role=\"status\"> </span></p></form></section>"), Ru = /* @__PURE__ */ U("<p class=\"kicker\"><a> </a> </p> <h1> </h1> <p class=\"small\"><!> <!> <!> <!></p> <ul class=\"numbers\"><li><b> </b><span>of what modes explain</span></li> <li><b> </b><span> </span></li> <!> <!> <!></ul> <!> <!> <section><h2>Where it is most active</h2> <!> <!> <!></section> <div class=\"columns\"><section><h2>Hidden units</h2> <p class=\"small\"> </p> <!> <p class=\"small\"> </p></section> <section><h2>Loadings</h2> <p class=\"small\"> </p> <!></section></div> <!> <!> <!> <!> <!>", 1);
function zu(e, t) {
	O(t, !0);
	let n = Ye("source"), r = /* @__PURE__ */ M(null), i = /* @__PURE__ */ M(null), a = /* @__PURE__ */ M(!0), o = /* @__PURE__ */ M(""), s = /* @__PURE__ */ M(""), c = /* @__PURE__ */ M(""), l = /* @__PURE__ */ M("");
	wn(() => {
		let { site: e, mode: a } = t.data;
		N(r, null), N(o, ""), N(i, null), n.view("kinds", e, a).then((n) => {
			t.data.site === e && t.data.mode === a && N(i, n, !0);
		}, () => void 0), N(s, t.data.given_name, !0), N(c, t.data.given_note, !0), N(l, ""), n.maps(e, a).then((n) => {
			t.data.site === e && t.data.mode === a && N(r, n, !0);
		}, (e) => N(o, e.message, !0));
	});
	let u = (e) => {
		let t = V(r)?.rows.indexOf(e) ?? -1;
		return V(a) && V(r) && t >= 0 ? V(r).maps[t] ?? null : null;
	};
	async function d(e) {
		e.preventDefault();
		try {
			await n.note?.(t.data.site, t.data.mode, {
				name: V(s),
				note: V(c)
			}), N(l, "Saved."), t.reload();
		} catch (e) {
			N(l, e.message, !0);
		}
	}
	let f = /* @__PURE__ */ A(() => t.data.units), p = /* @__PURE__ */ A(() => Math.max(1e-12, ...V(f).positive, ...V(f).negative.map((e) => -e))), m = /* @__PURE__ */ A(() => mc([-V(p), V(p)], [60, 380])), g = /* @__PURE__ */ A(() => mc([0, t.data.histogram.edges.at(-1) ?? 1], [34, 400])), _ = /* @__PURE__ */ A(() => mc([0, Math.max(1, ...t.data.histogram.counts)], [150, 18])), v = (e) => e.map((e) => [
		e.mode === null ? `${e.site}: no mode` : `${e.site}: ${e.mode} · ${ia(e.name)}`,
		na(e.flow, 3),
		ra(e.share)
	]), y = (e) => (t, n) => {
		let r = e[t];
		return n === 0 && r && r.mode !== null ? Q("mode", [r.site, r.mode]) : null;
	};
	var b = Ru(), x = F(b), S = P(x), ee = I(S, !0), C = L(S);
	D(x);
	var te = L(x, 2), ne = I(te, !0), re = L(te, 2), ie = P(re), ae = (e) => {
		var n = gu(), r = I(n);
		R((e) => {
			Z(n, "href", e), K(r, `← mode ${t.data.mode - 1}`);
		}, [() => Q("mode", [t.data.site, t.data.mode - 1])]), G(e, n);
	};
	q(ie, (e) => {
		t.data.mode > 0 && e(ae);
	});
	var oe = L(ie, 2), se = (e) => {
		G(e, Ir("\xA0·\xA0"));
	};
	q(oe, (e) => {
		t.data.mode > 0 && t.data.mode + 1 < t.data.of && e(se);
	});
	var ce = L(oe, 2), le = (e) => {
		var n = gu(), r = I(n);
		R((e) => {
			Z(n, "href", e), K(r, `mode ${t.data.mode + 1} →`);
		}, [() => Q("mode", [t.data.site, t.data.mode + 1])]), G(e, n);
	};
	q(ce, (e) => {
		t.data.mode + 1 < t.data.of && e(le);
	}), ga(L(ce, 2), { get code() {
		return t.data.python;
	} }), D(re);
	var ue = L(re, 2), de = P(ue), fe = I(P(de), !0);
	De(), D(de);
	var pe = L(de, 2), me = P(pe), he = I(me, !0), ge = I(L(me));
	D(pe);
	var _e = L(pe, 2), w = (e) => {
		var n = _u(), r = P(n), i = I(r, !0), a = I(L(r));
		D(n), R((e) => {
			K(i, e), K(a, `correlation with ${t.data.best_class ?? ""}`);
		}, [() => $(t.data.specificity, 2)]), G(e, n);
	};
	q(_e, (e) => {
		t.data.best_class && e(w);
	});
	var ve = L(_e, 2), ye = (e) => {
		var n = vu(), r = I(P(n), !0);
		De(), D(n), R((e) => K(r, e), [() => $(t.data.stability, 2)]), G(e, n);
	};
	q(ve, (e) => {
		t.data.stability !== null && e(ye);
	});
	var be = L(ve, 2), xe = (e) => {
		var n = _u(), r = P(n), i = I(r, !0), a = I(L(r));
		D(n), R((e) => {
			gi(r, 1, ui(t.data.effect >= 0 ? "for" : "against")), K(i, e), K(a, `${t.unit ?? ""} measured effect`);
		}, [() => na(t.data.effect)]), G(e, n);
	};
	q(be, (e) => {
		t.data.effect !== null && e(xe);
	}), D(ue);
	var Se = L(ue, 2), Ce = (e) => {
		var n = yu(), r = I(n);
		R(() => K(r, `You named this mode. By its classes it is called “${t.data.computed_name ?? ""}”.`)), G(e, n);
	};
	q(Se, (e) => {
		t.data.given_name && t.data.computed_name && e(Ce);
	});
	var T = L(Se, 2), we = (e) => {
		var n = bu(), r = I(n, !0);
		R(() => K(r, t.data.given_note)), G(e, n);
	};
	q(T, (e) => {
		t.data.given_note && e(we);
	});
	var E = L(T, 2), Te = L(P(E), 2), Ee = (e) => {
		var n = Cu(), i = F(n), s = (e) => {
			var t = xu(), n = P(t);
			ki(n), De(), D(t), Ii(n, () => V(a), (e) => N(a, e)), G(e, t);
		}, c = (e) => {
			var t = yu(), n = I(t, !0);
			R(() => K(n, V(o))), G(e, t);
		};
		q(i, (e) => {
			V(r)?.rows.length ? e(s) : V(o) && e(c, 1);
		});
		var l = L(i, 2);
		X(l, "", {}, { "margin-top": "0.7rem" }), Y(l, 21, () => t.data.exemplars, (e) => e.row, (e, t) => {
			var n = Su(), r = P(n), i = P(r);
			{
				let e = /* @__PURE__ */ A(() => u(V(t).row));
				hu(i, {
					get row() {
						return V(t).row;
					},
					side: 384,
					get map() {
						return V(e);
					},
					get words() {
						return V(t).key;
					}
				});
			}
			var a = I(L(i, 2));
			D(r), D(n), R((e, n) => {
				Z(r, "href", e), K(a, `${V(t).label ?? V(t).key ?? ""} · ${n ?? ""}`);
			}, [() => Q("sample", [V(t).row]), () => $(V(t).loading, 2)]), G(e, n);
		}), D(l), X(L(l, 2), "", {}, { "margin-top": "0.5rem" }), G(e, n);
	}, Oe = (e) => {
		G(e, wu());
	};
	q(Te, (e) => {
		t.data.exemplars.length ? e(Ee) : e(Oe, -1);
	});
	var ke = L(Te, 2);
	Y(ke, 17, () => V(i)?.kinds.filter((e) => e.samples.length) ?? [], J, (e, t) => {
		var n = Tu(), r = F(n);
		X(r, "", {}, { "margin-top": "1.2rem" });
		var i = I(r, !0), a = L(r, 2);
		Y(a, 21, () => V(t).samples, (e) => e.row, (e, t) => {
			var n = Su(), r = P(n), i = P(r);
			hu(i, {
				get row() {
					return V(t).row;
				},
				side: 192,
				get words() {
					return V(t).key;
				}
			});
			var a = I(L(i, 2));
			D(r), D(n), R((e, n) => {
				Z(r, "href", e), K(a, `${V(t).label ?? V(t).key ?? ""} · ${n ?? ""}`);
			}, [() => Q("sample", [V(t).row]), () => $(V(t).loading, 2)]), G(e, n);
		}), D(a), R(() => K(i, V(t).title)), G(e, n);
	});
	var Ae = L(ke, 2), je = (e) => {
		var t = Eu();
		X(t, "", {}, { "margin-top": "0.5rem" }), G(e, t);
	};
	q(Ae, (e) => {
		V(i) && e(je);
	}), D(E);
	var Me = L(E, 2), Ne = P(Me), Pe = L(P(Ne), 2), Fe = I(Pe), Ie = L(Pe, 2);
	ll(Ie, {
		title: "Strongest units",
		children: (e, t) => {
			var n = Ou(), r = P(n);
			Y(r, 17, () => V(f).unit, J, (e, t, n) => {
				let r = /* @__PURE__ */ A(() => n * 19 + 4);
				var i = Du(), a = F(i), o = I(a, !0), s = L(a), c = I(P(s), !0);
				D(s);
				var l = L(s), u = I(P(l), !0);
				D(l), R((e, n, i, d, f, p) => {
					Z(a, "y", V(r) + 12), K(o, V(t)), Z(s, "x", e), Z(s, "y", V(r) + 2), Z(s, "width", n), K(c, i), Z(l, "x", d), Z(l, "y", V(r) + 2), Z(l, "width", f), K(u, p);
				}, [
					() => V(m)(0),
					() => Math.max(0, V(m)(V(f).positive[n] ?? 0) - V(m)(0)),
					() => na(V(f).positive[n], 4),
					() => V(m)(V(f).negative[n] ?? 0),
					() => Math.max(0, V(m)(0) - V(m)(V(f).negative[n] ?? 0)),
					() => na(V(f).negative[n], 4)
				]), G(e, i);
			});
			var i = L(r);
			D(n), R((e, t, r) => {
				Z(n, "viewBox", `0 0 420 ${V(f).unit.length * 19 + 8}`), Z(n, "aria-label", e), Z(i, "x1", t), Z(i, "x2", r), Z(i, "y2", V(f).unit.length * 19 + 6);
			}, [
				() => V(f).unit.map((e, t) => `unit ${e}: ${na((V(f).positive[t] ?? 0) + (V(f).negative[t] ?? 0), 3)}`).join("; "),
				() => V(m)(0),
				() => V(m)(0)
			]), G(e, n);
		},
		$$slots: { default: !0 }
	});
	var Le = I(L(Ie, 2));
	D(Ne);
	var Re = L(Ne, 2), ze = L(P(Re), 2), Be = I(ze), Ve = L(ze, 2), He = (e) => {
		ll(e, {
			title: "Histogram of loadings",
			children: (e, n) => {
				var r = Mu(), i = P(r);
				Y(i, 17, () => V(_).ticks(4), J, (e, t) => {
					var n = ku(), r = F(n), i = L(r), a = I(i, !0);
					R((e, t, n, o) => {
						Z(r, "y1", e), Z(r, "y2", t), Z(i, "y", n), K(a, o);
					}, [
						() => V(_)(V(t)),
						() => V(_)(V(t)),
						() => V(_)(V(t)) + 4,
						() => $(V(t))
					]), G(e, n);
				});
				var a = L(i);
				Y(a, 17, () => t.data.histogram.counts, J, (e, n, r) => {
					let i = /* @__PURE__ */ A(() => V(g)(t.data.histogram.edges[r] ?? 0));
					var a = Au();
					R((e, t, n) => {
						Z(a, "x", V(i) + .5), Z(a, "y", e), Z(a, "width", t), Z(a, "height", n);
					}, [
						() => V(_)(V(n)),
						() => Math.max(.5, V(g)(t.data.histogram.edges[r + 1] ?? 0) - V(i) - 1),
						() => 150 - V(_)(V(n))
					]), G(e, a);
				}), Y(L(a), 17, () => V(g).ticks(5), J, (e, t) => {
					var n = ju(), r = I(n, !0);
					R((e, t) => {
						Z(n, "x", e), K(r, t);
					}, [() => V(g)(V(t)), () => $(V(t))]), G(e, n);
				}), De(), D(r), R((e) => Z(r, "aria-label", e), [() => `Loadings up to ${$(t.data.histogram.edges.at(-1))}`]), G(e, r);
			},
			$$slots: { default: !0 }
		});
	};
	q(Ve, (e) => {
		t.data.histogram.counts.length && e(He);
	}), D(Re), D(Me);
	var Ue = L(Me, 2), We = (e) => {
		var n = Nu(), r = L(P(n), 2);
		{
			let e = /* @__PURE__ */ A(() => `Classes of mode ${t.data.mode}`), n = /* @__PURE__ */ A(() => t.data.classes.map((e) => [
				e.class,
				e.correlation,
				ra(e.active),
				e.loading,
				e.samples
			]));
			Ca(r, {
				get title() {
					return V(e);
				},
				columns: [
					"class",
					"correlation",
					"samples active",
					"mean loading",
					"samples"
				],
				get rows() {
					return V(n);
				}
			});
		}
		D(n), G(e, n);
	};
	q(Ue, (e) => {
		t.data.classes.length && e(We);
	});
	var Ge = L(Ue, 2), Ke = (e) => {
		var n = Fu(), r = L(P(n), 2);
		Y(r, 21, () => [{
			title: "Comes from",
			ends: t.data.flow.from
		}, {
			title: "Goes to",
			ends: t.data.flow.to
		}], J, (e, n) => {
			var r = Lr(), i = F(r), a = (e) => {
				var r = Pu(), i = P(r), a = I(i, !0), o = L(i, 2);
				{
					let e = /* @__PURE__ */ A(() => `${V(n).title}, mode ${t.data.mode}`), r = /* @__PURE__ */ A(() => [
						"mode",
						`flow in ${t.unit}`,
						"share of all"
					]), i = /* @__PURE__ */ A(() => v(V(n).ends)), a = /* @__PURE__ */ A(() => y(V(n).ends));
					Ca(o, {
						get title() {
							return V(e);
						},
						get columns() {
							return V(r);
						},
						get rows() {
							return V(i);
						},
						get links() {
							return V(a);
						}
					});
				}
				D(r), R(() => K(a, V(n).title)), G(e, r);
			};
			q(i, (e) => {
				V(n).ends.length && e(a);
			}), G(e, r);
		}), D(r);
		var i = I(L(r, 2));
		D(n), R((e) => Z(i, "href", e), [() => Q("flow", [], {
			site: t.data.site,
			mode: t.data.mode
		})]), G(e, n);
	};
	q(Ge, (e) => {
		t.data.flow && (t.data.flow.from.length || t.data.flow.to.length) && e(Ke);
	});
	var qe = L(Ge, 2), Je = (e) => {
		var n = Iu(), r = L(P(n), 2);
		Y(r, 17, () => t.data.control, J, (e, t) => {
			Sl(e, { get curve() {
				return V(t);
			} });
		});
		var i = L(r, 2), a = (e) => {
			var n = bu(), r = I(n);
			R((e, n, i, a) => K(r, `Removing the mode changes the target by ${e ?? ""} ${t.unit ?? ""}, predicted ${n ?? ""};
        alone it makes ${i ?? ""}, predicted ${a ?? ""}. It ${t.data.necessity.reading ?? ""}.`), [
				() => na(t.data.necessity.removed_measured, 3),
				() => na(t.data.necessity.removed_predicted, 3),
				() => na(t.data.necessity.alone_measured, 3),
				() => na(t.data.necessity.alone_predicted, 3)
			]), G(e, n);
		};
		q(i, (e) => {
			t.data.necessity && e(a);
		}), D(n), G(e, n);
	};
	q(qe, (e) => {
		(t.data.control.length || t.data.necessity) && e(Je);
	});
	var Xe = L(qe, 2), Ze = (e) => {
		var n = Lu(), r = L(P(n), 2);
		X(r, "", {}, { "max-width": "30rem" });
		var i = P(r), a = P(i), o = L(P(a));
		ki(o), D(a), D(i);
		var u = L(i, 4);
		st(u);
		var f = L(u, 2);
		X(f, "", {}, { "margin-top": "0.5rem" });
		var p = I(L(P(f), 2), !0);
		D(f), D(r), D(n), R(() => {
			Z(o, "placeholder", t.data.computed_name || "no clear name"), K(p, V(l));
		}), Er("submit", r, d), Fi(o, () => V(s), (e) => N(s, e)), Fi(u, () => V(c), (e) => N(c, e)), G(e, n);
	};
	q(Xe, (e) => {
		n.note && e(Ze);
	}), Y(L(Xe, 2), 17, () => Object.entries(t.data.missing), J, (e, t) => {
		var n = /* @__PURE__ */ A(() => h(V(t), 2));
		let r = () => V(n)[0], i = () => V(n)[1];
		{
			let t = /* @__PURE__ */ A(() => r() === "flow" ? "flow between modes" : "control curves");
			ea(e, {
				get what() {
					return V(t);
				},
				get command() {
					return i();
				}
			});
		}
	}), R((e, n, r, i, a, o, s, c, l) => {
		Z(S, "href", e), K(ee, t.data.site), K(C, ` · mode ${t.data.mode ?? ""} of ${t.data.of ?? ""}`), K(ne, n), K(fe, r), K(he, i), K(ge, `of samples (${a ?? ""}) active`), K(Fe, `${o ?? ""} of ${s ?? ""} units take part; ${c ?? ""} half of its strength.`), K(Le, `Contribution of each unit for a loading of 1, in ${t.unit ?? ""}: orange excitation, blue suppression.`), K(Be, `How active the mode is, over the ${l ?? ""} samples in which it is active.`);
	}, [
		() => Q("modes", [t.data.site]),
		() => ia(t.data.name),
		() => ra(t.data.share),
		() => ra(t.data.firing),
		() => $(t.data.active),
		() => $(V(f).used),
		() => $(V(f).all),
		() => V(f).half === 1 ? "one of them has" : `${$(V(f).half)} of them have`,
		() => $(t.data.active)
	]), G(e, b), k();
}
// src/lib/modes.ts
var Bu = {
	share: "share of the contributions",
	firing: "how often active",
	effect: "measured effect",
	stability: "stability",
	specificity: "class specificity",
	number: "number"
}, Vu = (e) => e !== void 0 && e in Bu;
function Hu(e, t, n, r = !1) {
	let i = t.search.toLowerCase().split(/\s+/).filter(Boolean), a = [];
	for (let n = 0; n < e.names.length; n++) {
		let r = (e.names[n] ?? "").toLowerCase();
		if (t.named && !r || t.cls !== null && e.best[n] !== t.cls || !i.every((e) => r.includes(e) || e === String(n) || e === `#${n}`)) continue;
		let o = !0;
		for (let [r, i] of Object.entries(t.least)) {
			let t = e[r][n];
			i !== void 0 && !((r === "effect" ? Math.abs(t ?? NaN) : t ?? NaN) >= i) && (o = !1);
		}
		o && a.push(n);
	}
	if (n === "number") return r ? a.reverse() : a;
	let o = e[n], s = (e) => {
		let t = o[e];
		return t == null ? NaN : n === "effect" ? Math.abs(t) : t;
	}, c = r ? -1 : 1;
	return a.sort((e, t) => {
		let [n, r] = [s(e), s(t)];
		return Number.isNaN(n) || Number.isNaN(r) ? Number(Number.isNaN(n)) - Number(Number.isNaN(r)) || e - t : c * (r - n) || e - t;
	});
}
function Uu(e, t, n, r, i = 3) {
	let a = Math.max(0, Math.floor(e / n) - i), o = Math.min(r, Math.ceil((e + t) / n) + i);
	return {
		first: Math.min(a, Math.max(0, o)),
		last: o
	};
}
// src/views/Modes.svelte
var Wu = /* @__PURE__ */ U("<option> </option>"), Gu = /* @__PURE__ */ U("<label>Class <select><option>all</option><!></select></label> <label>Specificity at least <input type=\"number\" min=\"0\" max=\"1\" step=\"0.1\"/></label>", 1), Ku = /* @__PURE__ */ U("<label>Stability at least <input type=\"number\" min=\"0\" max=\"1\" step=\"0.1\"/></label>"), qu = /* @__PURE__ */ U("<label>Effect at least <input type=\"number\" min=\"0\" step=\"0.1\"/></label>"), Ju = /* @__PURE__ */ U("<span class=\"faces\"></span>"), Yu = /* @__PURE__ */ U("<div class=\"card\" role=\"listitem\"><a><!> <span> </span> <span class=\"meta\"><span> </span><span> </span></span></a></div>"), Xu = /* @__PURE__ */ U("<div class=\"grid-box\" role=\"list\" tabindex=\"-1\"><div role=\"presentation\"></div></div>"), Zu = /* @__PURE__ */ U("<div class=\"note\"><p>No mode of this site matches. Remove a filter, or change the search.</p></div>"), Qu = /* @__PURE__ */ U("<h1>Modes</h1> <div class=\"controls\"><label>Site <select></select></label> <label>Search <input type=\"search\" placeholder=\"name or number\"/></label> <label>Sort by <select></select></label> <label>Order <select><option>largest first</option><option>smallest first</option></select></label> <!> <!> <!> <label class=\"row\"><input type=\"checkbox\"/> with a name</label></div> <p class=\"small\" role=\"status\"> <code> </code> <!> <button class=\"plain\">Save as CSV</button></p> <!>", 1);
function $u(e, t) {
	O(t, !0);
	let n = Ye("source"), r = /* @__PURE__ */ M(800), i = /* @__PURE__ */ M(600), a = /* @__PURE__ */ M(0), o = /* @__PURE__ */ M(void 0), s = /* @__PURE__ */ A(() => Vu(t.query.sort) ? t.query.sort : "share"), c = /* @__PURE__ */ A(() => t.query.order === "up"), l = /* @__PURE__ */ A(() => ({
		search: t.query.search ?? "",
		cls: t.query.class ? Number(t.query.class) : null,
		named: t.query.named === "1",
		least: {
			...t.query.stability ? { stability: Number(t.query.stability) } : {},
			...t.query.specificity ? { specificity: Number(t.query.specificity) } : {},
			...t.query.effect ? { effect: Number(t.query.effect) } : {}
		}
	})), u = /* @__PURE__ */ A(() => Hu(t.data, V(l), V(s), V(c))), d = /* @__PURE__ */ A(() => n.picture(t.data.faces[0]?.[0] ?? 0, 96) !== null), f = /* @__PURE__ */ A(() => Math.max(1, Math.floor(V(r) / 176))), p = /* @__PURE__ */ A(() => V(d) ? (V(r) / V(f) - 30) / 4 + 84 : 84), m = /* @__PURE__ */ A(() => Math.ceil(V(u).length / V(f))), g = /* @__PURE__ */ A(() => Uu(V(a), V(i), V(p), V(m))), _ = /* @__PURE__ */ A(() => V(u).slice(V(g).first * V(f), V(g).last * V(f))), v = (e) => e.some((e) => e !== null), y = /* @__PURE__ */ A(() => t.data.classes.map((e, t) => ({
		name: e,
		n: t
	})).filter(({ n: e }) => t.data.best.includes(e)));
	function b(e) {
		t.go(Q("modes", [t.data.site], {
			...t.query,
			...e
		}), !0), V(o)?.scrollTo(0, 0);
	}
	function x(e) {
		return V(s) === "firing" ? `active in ${ra(t.data.firing[e])}` : V(s) === "effect" ? `effect ${$(t.data.effect[e])}` : V(s) === "stability" ? `stability ${$(t.data.stability[e], 2)}` : V(s) === "specificity" ? `r = ${$(t.data.specificity[e], 2)}` : `${ra(t.data.share[e])} of all`;
	}
	function S(e) {
		let t = {
			ArrowRight: 1,
			ArrowLeft: -1,
			ArrowDown: V(f),
			ArrowUp: -V(f)
		}[e.key], n = Number(e.target.dataset.place ?? NaN);
		if (t === void 0 || Number.isNaN(n)) return;
		let r = Math.min(V(u).length - 1, Math.max(0, n + t));
		e.preventDefault();
		let a = Math.floor(r / V(f)) * V(p);
		V(o) && (a < V(o).scrollTop || a + V(p) > V(o).scrollTop + V(i)) && V(o).scrollTo(0, Math.max(0, a - V(i) / 2)), setTimeout(() => V(o)?.querySelector(`[data-place="${r}"]`)?.focus(), 30);
	}
	let ee = () => la([
		"mode",
		"name",
		"share",
		"active",
		"stability",
		"specificity",
		"class",
		"effect"
	], V(u).map((e) => [
		e,
		t.data.names[e],
		t.data.share[e],
		t.data.firing[e],
		t.data.stability[e],
		t.data.specificity[e],
		t.data.classes[t.data.best[e] ?? -1] ?? "",
		t.data.effect[e]
	]), `modes of ${t.data.site}`);
	var C = Qu(), te = L(F(C), 2), ne = P(te), re = L(P(ne));
	Y(re, 21, () => t.sites, J, (e, t) => {
		var n = Wu(), r = I(n, !0), i = {};
		R(() => {
			K(r, V(t)), i !== (i = V(t)) && (n.value = (n.__value = i) ?? "");
		}), G(e, n);
	}), D(re);
	var ie;
	xi(re), D(ne);
	var ae = L(ne, 2), oe = L(P(ae));
	ki(oe), D(ae);
	var se = L(ae, 2), ce = L(P(se));
	Y(ce, 21, () => Object.entries(Bu), J, (e, n) => {
		var r = /* @__PURE__ */ A(() => h(V(n), 2));
		let i = () => V(r)[0], a = () => V(r)[1];
		var o = Lr(), s = F(o), c = (e) => {
			var t = Wu(), n = I(t, !0), r = {};
			R(() => {
				K(n, a()), r !== (r = i()) && (t.value = (t.__value = r) ?? "");
			}), G(e, t);
		}, l = /* @__PURE__ */ A(() => i() === "share" || i() === "firing" || i() === "number" || v(t.data[i()]));
		q(s, (e) => {
			V(l) && e(c);
		}), G(e, o);
	}), D(ce);
	var le;
	xi(ce), D(se);
	var ue = L(se, 2), de = L(P(ue)), fe = P(de);
	fe.value = fe.__value = "down";
	var pe = L(fe);
	pe.value = pe.__value = "up", D(de);
	var me;
	xi(de), D(ue);
	var he = L(ue, 2), ge = (e) => {
		var n = Gu(), r = F(n), i = L(P(r)), a = P(i);
		a.value = a.__value = "", Y(L(a), 17, () => V(y), J, (e, t) => {
			var n = Wu(), r = I(n, !0), i = {};
			R((e) => {
				K(r, V(t).name), i !== (i = e) && (n.value = (n.__value = i) ?? "");
			}, [() => String(V(t).n)]), G(e, n);
		}), D(i);
		var o;
		xi(i), D(r);
		var s = L(r, 2), c = L(P(s));
		ki(c), D(s), R(() => {
			o !== (o = t.query.class ?? "") && (i.value = (i.__value = o) ?? "", bi(i, o)), Ai(c, t.query.specificity ?? "");
		}), H("change", i, (e) => b({ class: e.currentTarget.value })), H("change", c, (e) => b({ specificity: e.currentTarget.value })), G(e, n);
	};
	q(he, (e) => {
		V(y).length && e(ge);
	});
	var _e = L(he, 2), w = (e) => {
		var n = Ku(), r = L(P(n));
		ki(r), D(n), R(() => Ai(r, t.query.stability ?? "")), H("change", r, (e) => b({ stability: e.currentTarget.value })), G(e, n);
	}, ve = /* @__PURE__ */ A(() => v(t.data.stability));
	q(_e, (e) => {
		V(ve) && e(w);
	});
	var ye = L(_e, 2), be = (e) => {
		var n = qu(), r = L(P(n));
		ki(r), D(n), R(() => Ai(r, t.query.effect ?? "")), H("change", r, (e) => b({ effect: e.currentTarget.value })), G(e, n);
	}, xe = /* @__PURE__ */ A(() => v(t.data.effect));
	q(ye, (e) => {
		V(xe) && e(be);
	});
	var Se = L(ye, 2), Ce = P(Se);
	ki(Ce), De(), D(Se), D(te);
	var T = L(te, 2), we = P(T), E = L(we), Te = I(E, !0), Ee = L(E), Oe = L(Ee);
	ga(Oe, { get code() {
		return t.data.python;
	} });
	var ke = L(Oe, 2);
	D(T);
	var Ae = L(T, 2), je = (e) => {
		var n = Xu(), s = P(n);
		let c;
		Y(s, 22, () => V(_), (e) => e, (e, n, i) => {
			let a = /* @__PURE__ */ A(() => V(g).first * V(f) + V(i));
			var o = Yu();
			let s;
			var c = P(o), l = P(c), u = (e) => {
				var r = Ju();
				Y(r, 21, () => t.data.faces[n] ?? [], J, (e, t) => {
					hu(e, {
						get row() {
							return V(t);
						},
						side: 96
					});
				}), D(r), G(e, r);
			};
			q(l, (e) => {
				V(d) && e(u);
			});
			var m = L(l, 2);
			let h;
			X(m, "", {}, { display: "block" });
			var _ = I(m, !0), v = L(m, 2), y = P(v), b = I(y), S = I(L(y), !0);
			D(v), D(c), D(o), R((e, i, l, u) => {
				s = X(o, "", s, {
					width: `${V(r) / V(f)}px`,
					height: `${V(p)}px`,
					left: `${V(a) % V(f) * (V(r) / V(f))}px`,
					top: e
				}), Z(c, "href", i), Z(c, "data-place", V(a)), h = gi(m, 1, "title", null, h, { none: !t.data.names[n] }), K(_, l), K(b, `mode ${n ?? ""}`), K(S, u);
			}, [
				() => `${Math.floor(V(a) / V(f)) * V(p)}px`,
				() => Q("mode", [t.data.site, n]),
				() => ia(t.data.names[n] ?? ""),
				() => x(n)
			]), G(e, o);
		}), D(s), D(n), Hi(n, (e) => N(o, e), () => V(o)), R(() => {
			Z(n, "aria-label", `Modes of ${t.data.site}`), c = X(s, "", c, { height: `${V(m) * V(p)}px` });
		}), Er("scroll", n, (e) => N(a, e.currentTarget.scrollTop, !0)), H("keydown", n, S), Bi(n, "clientWidth", (e) => N(r, e)), Bi(n, "clientHeight", (e) => N(i, e)), G(e, n);
	}, Me = (e) => {
		G(e, Zu());
	};
	q(Ae, (e) => {
		V(u).length ? e(je) : e(Me, -1);
	}), R((e, n, r, i, a, o) => {
		ie !== (ie = t.data.site) && (re.value = (re.__value = ie) ?? "", bi(re, ie)), Ai(oe, t.query.search ?? ""), le !== (le = V(s)) && (ce.value = (ce.__value = le) ?? "", bi(ce, le)), me !== (me = V(c) ? "up" : "down") && (de.value = de.__value = me, bi(de, me)), ji(Ce, V(l).named), K(we, `${e ?? ""} of ${n ?? ""} modes of `), K(Te, t.data.site), K(Ee, `: ${r ?? ""} hidden units, ${i ?? ""} samples,
  R² = ${a ?? ""}, ${o ?? ""} active in a sample. `);
	}, [
		() => $(V(u).length),
		() => $(t.data.names.length),
		() => $(t.data.units),
		() => $(t.data.samples),
		() => $(t.data.r2),
		() => $(t.data.l0)
	]), H("change", re, (e) => t.go(Q("modes", [e.currentTarget.value], {
		...t.query,
		class: ""
	}))), H("input", oe, (e) => b({ search: e.currentTarget.value })), H("change", ce, (e) => b({ sort: e.currentTarget.value })), H("change", de, (e) => b({ order: e.currentTarget.value === "up" ? "up" : "" })), H("change", Ce, (e) => b({ named: e.currentTarget.checked ? "1" : "" })), H("click", ke, ee), G(e, C), k();
}
Dr([
	"change",
	"input",
	"click",
	"keydown"
]);
// src/lib/document.ts
function ed(e, t) {
	let n = 0, r = 0, i = (e, t) => {
		let a = 0;
		return e.map((e) => {
			if (e.kind === "section") {
				let n = t ? `${t}.${++a}` : String(++a);
				return {
					block: e,
					number: n,
					inner: i(e.blocks, n)
				};
			}
			return e.kind === "figure" || e.kind === "marked" ? {
				block: e,
				number: String(++n),
				inner: []
			} : e.kind === "table" ? {
				block: e,
				number: String(++r),
				inner: []
			} : {
				block: e,
				number: "",
				inner: []
			};
		});
	};
	return {
		opening: i(e, "0"),
		sections: i(t, "")
	};
}
function td(e, t = 0) {
	return e.flatMap((e) => e.block.kind === "section" ? [{
		number: e.number,
		title: e.block.title,
		depth: t
	}, ...td(e.inner, t + 1)] : []);
}
var nd = (e) => `section-${e.replaceAll(".", "-")}`, rd = (e) => ({
	"image/svg+xml": "svg",
	"image/png": "png",
	"image/jpeg": "jpg"
})[/^data:([^;,]+)/.exec(e)?.[1] ?? ""] ?? "png", id = /* @__PURE__ */ U("<a> </a>"), ad = /* @__PURE__ */ U("<li><a><!> <div class=\"about\"> </div></a></li>"), od = /* @__PURE__ */ U("<div class=\"mode-row\"><!> <p class=\"small\"> </p> <ul class=\"gallery\"></ul></div>");
function sd(e, t) {
	O(t, !0);
	let n = Gi(t, "level", 3, 3), r = Ye("source"), i = t.modes.map(async (e) => ({
		data: await r.view("mode", t.site, e),
		maps: await r.maps(t.site, e).catch(() => null)
	})), a = (e, t) => e?.maps[e.rows.indexOf(t)] ?? null, o = (e) => [
		`${ra(e.share)} of what modes explain`,
		`active in ${ra(e.firing)} of the samples`,
		...e.best_class ? [`correlation ${$(e.specificity, 2)} with ${e.best_class}`] : [],
		...e.stability === null ? [] : [`stability ${$(e.stability, 2)}`],
		...e.effect === null ? [] : [`mean measured effect ${na(e.effect)}`]
	].join(" · ");
	var s = Lr();
	Y(F(s), 17, () => i, J, (e, r) => {
		Qi(e, {
			get promise() {
				return V(r);
			},
			children: (e, r) => {
				let i = () => (r?.()).data, s = () => (r?.()).maps;
				var c = od(), l = P(c);
				si(l, () => `h${Math.min(n(), 6)}`, !1, (e, n) => {
					var r = id(), a = I(r);
					R((e, t) => {
						Z(r, "href", e), K(a, `Mode ${i().mode ?? ""}: ${t ?? ""}`);
					}, [() => Q("mode", [t.site, i().mode]), () => ia(i().name)]), G(n, r);
				});
				var u = L(l, 2), d = I(u, !0), f = L(u, 2);
				Y(f, 21, () => i().exemplars.slice(0, 4), (e) => e.row, (e, t) => {
					var n = ad(), r = P(n), i = P(r);
					{
						let e = /* @__PURE__ */ A(() => a(s(), V(t).row));
						hu(i, {
							get row() {
								return V(t).row;
							},
							side: 192,
							get map() {
								return V(e);
							},
							get words() {
								return V(t).key;
							}
						});
					}
					var o = I(L(i, 2));
					D(r), D(n), R((e, n) => {
						Z(r, "href", e), K(o, `${V(t).label ?? V(t).key ?? ""} · ${n ?? ""}`);
					}, [() => Q("sample", [V(t).row]), () => $(V(t).loading, 2)]), G(e, n);
				}), D(f), D(c), R((e) => K(d, e), [() => o(i())]), G(e, c);
			},
			$$slots: { default: !0 }
		});
	}), G(e, s), k();
}
// src/lib/waterfall.ts
function cd(e, t) {
	let n = [], r = 0, i = (e, t, i, a) => {
		n.push({
			label: e,
			mode: t,
			kind: i,
			amount: a,
			start: r,
			end: r + a
		}), r += a;
	};
	for (let n of e.terms.slice(0, t)) i(`${n.mode} · ${ia(n.name)}`, n.mode, "mode", n.contribution);
	let a = e.terms.slice(t);
	a.length && i(`${a.length} other mode${a.length === 1 ? "" : "s"}`, null, "rest", a.reduce((e, t) => e + t.contribution, 0)), i("not explained by modes", null, "rest", e.unexplained);
	let o = r + e.elsewhere;
	return Math.abs(e.elsewhere) > .005 * Math.abs(o) && i("outside this site", null, "rest", e.elsewhere), n.push({
		label: "change of the target",
		mode: null,
		kind: "total",
		amount: o,
		start: 0,
		end: o
	}), n;
}
// src/parts/Waterfall.svelte
var ld = /* @__PURE__ */ W("<line y1=\"4\" stroke=\"var(--rule)\"></line><text text-anchor=\"middle\"> </text>", 1), ud = /* @__PURE__ */ W("<text class=\"strong\" text-anchor=\"end\"> </text>"), dd = /* @__PURE__ */ W("<a><!></a>"), fd = /* @__PURE__ */ W("<line stroke=\"var(--faint)\"></line>"), pd = /* @__PURE__ */ W("<!><rect rx=\"2\"><title> </title></rect><!><text text-anchor=\"end\" class=\"strong\"> </text>", 1), md = /* @__PURE__ */ W("<svg role=\"group\"><!><!></svg>"), hd = /* @__PURE__ */ U("<div><!></div>");
function gd(e, t) {
	O(t, !0);
	let n = Gi(t, "most", 3, 10), r = Ye("source") !== void 0, i = /* @__PURE__ */ A(() => cd(t.terms, n())), a = /* @__PURE__ */ M(620), o = /* @__PURE__ */ A(() => Math.min(760, Math.max(300, V(a)))), s = /* @__PURE__ */ A(() => Math.min(200, Math.round(.4 * V(o)))), c = /* @__PURE__ */ A(() => V(i).length * 25 + 34), l = /* @__PURE__ */ A(() => V(i).flatMap((e) => [e.start, e.end])), u = /* @__PURE__ */ A(() => mc([Math.min(0, ...V(l)), Math.max(0, ...V(l), 1e-9)], [V(s), V(o) - 62])), d = (e) => e.length > V(s) / 6.6 ? `${e.slice(0, Math.floor(V(s) / 6.6) - 1)}…` : e;
	var f = hd(), p = P(f);
	{
		let e = /* @__PURE__ */ A(() => `The sum at ${t.terms.site}`), n = /* @__PURE__ */ A(() => `In ${t.unit}. Orange supports the target, blue opposes it. The bars add up to the change of the target.`);
		ll(p, {
			get title() {
				return V(e);
			},
			get caption() {
				return V(n);
			},
			children: (e, n) => {
				var a = md(), l = P(a);
				Y(l, 17, () => V(u).ticks(V(o) / 110), J, (e, t) => {
					var n = ld(), r = F(n), i = L(r), a = I(i, !0);
					R((e, t, n, o) => {
						Z(r, "x1", e), Z(r, "x2", t), Z(r, "y2", V(c) - 26), Z(i, "x", n), Z(i, "y", V(c) - 10), K(a, o);
					}, [
						() => V(u)(V(t)),
						() => V(u)(V(t)),
						() => V(u)(V(t)),
						() => na(V(t), 1)
					]), G(e, n);
				}), Y(L(l), 17, () => V(i), J, (e, n, a) => {
					let c = (e) => {
						var t = ud(), r = I(t, !0);
						R((e) => {
							Z(t, "x", V(s) - 10), Z(t, "y", V(l) + 15), K(r, e);
						}, [() => d(V(n).label)]), G(e, t);
					}, l = /* @__PURE__ */ A(() => 6 + a * 25), f = /* @__PURE__ */ A(() => Math.min(V(u)(V(n).start), V(u)(V(n).end)));
					var p = pd(), m = F(p), h = (e) => {
						var r = dd(), i = P(r);
						c(i), D(r), R((e, t) => {
							Z(r, "href", e), Z(r, "aria-label", t);
						}, [() => Q("mode", [t.terms.site, V(n).mode]), () => `${d(V(n).label)}: open mode ${V(n).mode}`]), G(e, r);
					}, g = (e) => {
						c(e);
					};
					q(m, (e) => {
						r && V(n).mode !== null ? e(h) : e(g, -1);
					});
					var _ = L(m);
					Z(_, "height", 17);
					var v = I(P(_));
					D(_);
					var y = L(_), b = (e) => {
						var t = fd();
						R((e, n) => {
							Z(t, "x1", e), Z(t, "x2", n), Z(t, "y1", V(l) + 25 - 5), Z(t, "y2", V(l) + 25 + 3);
						}, [() => V(u)(V(n).end), () => V(u)(V(n).end)]), G(e, t);
					};
					q(y, (e) => {
						a + 1 < V(i).length && V(n).kind !== "total" && e(b);
					});
					var x = L(y), S = I(x, !0);
					R((e, t, r) => {
						Z(_, "x", V(f)), Z(_, "y", V(l) + 3), Z(_, "width", e), Z(_, "fill", V(n).kind === "total" ? "var(--ink)" : V(n).kind === "rest" ? "var(--null)" : V(n).amount >= 0 ? "var(--for)" : "var(--against)"), K(v, `${V(n).label ?? ""}: ${t ?? ""}`), Z(x, "x", V(o) - 62 + 56), Z(x, "y", V(l) + 15), K(S, r);
					}, [
						() => Math.max(1, Math.abs(V(u)(V(n).end) - V(u)(V(n).start))),
						() => na(V(n).amount, 3),
						() => na(V(n).amount)
					]), G(e, p);
				}), D(a), R((e) => {
					Z(a, "viewBox", `0 0 ${V(o)} ${V(c)}`), Z(a, "aria-label", e);
				}, [() => V(i).map((e) => `${e.label}: ${na(e.amount)}`).join("; ")]), G(e, a);
			},
			$$slots: { default: !0 }
		});
	}
	D(f), Bi(f, "clientWidth", (e) => N(a, e)), G(e, f), k();
}
// src/parts/SumChart.svelte
var _d = /* @__PURE__ */ U("<div class=\"seen\"><!></div>"), vd = /* @__PURE__ */ W("<rect y=\"3\" height=\"11\"></rect>"), yd = /* @__PURE__ */ U("<li><span class=\"looks\"><!> <!></span> <span class=\"words\"><b> </b> <svg viewBox=\"0 0 220 26\" role=\"img\"><line y1=\"0\" y2=\"26\" stroke=\"var(--faint)\"></line><!><rect y=\"17\" height=\"5\" opacity=\"0.75\"></rect></svg> <span class=\"small\"> <!><!></span></span></li>"), bd = /* @__PURE__ */ U("<div class=\"sum\"><!> <div class=\"bars\"><!></div></div> <ul class=\"terms\"></ul> <p class=\"small\"> </p>", 1);
function xd(e, t) {
	O(t, !0);
	let n = /* @__PURE__ */ A(() => t.content.terms.terms.slice(0, t.content.shown)), r = /* @__PURE__ */ A(() => V(n).flatMap((e) => [e.contribution, e.effect ?? 0])), i = /* @__PURE__ */ A(() => mc([Math.min(0, ...V(r)), Math.max(0, ...V(r), 1e-9)], [2, 218])), a = (e) => e >= 0 ? "var(--for)" : "var(--against)", o = (e) => Math.max(1, Math.abs(V(i)(e) - V(i)(0)));
	var s = bd(), c = F(s), l = P(c), u = (e) => {
		var n = _d();
		hu(P(n), {
			get at() {
				return t.content.picture;
			},
			alt: "What the network saw"
		}), D(n), G(e, n);
	};
	q(l, (e) => {
		t.content.picture && e(u);
	});
	var d = L(l, 2);
	gd(P(d), {
		get terms() {
			return t.content.terms;
		},
		get unit() {
			return t.content.unit;
		},
		most: 10
	}), D(d), D(c);
	var f = L(c, 2);
	Y(f, 21, () => V(n), (e) => e.mode, (e, n) => {
		var r = yd(), s = P(r), c = P(s), l = (e) => {
			{
				let r = /* @__PURE__ */ A(() => `Where mode ${V(n).mode} acts`);
				hu(e, {
					get at() {
						return t.content.picture;
					},
					get map() {
						return V(n).map;
					},
					get alt() {
						return V(r);
					}
				});
			}
		};
		q(c, (e) => {
			t.content.picture && V(n).map && e(l);
		});
		var u = L(c, 2), d = (e) => {
			{
				let t = /* @__PURE__ */ A(() => `A picture that drives mode ${V(n).mode}`);
				hu(e, {
					get at() {
						return V(n).face;
					},
					get alt() {
						return V(t);
					}
				});
			}
		};
		q(u, (e) => {
			V(n).face && e(d);
		}), D(s);
		var f = L(s, 2), p = P(f), m = I(p), h = L(p, 2), g = P(h), _ = L(g), v = (e) => {
			var t = vd();
			R((e, n, r) => {
				Z(t, "x", e), Z(t, "width", n), Z(t, "fill", r);
			}, [
				() => Math.min(V(i)(0), V(i)(V(n).effect)),
				() => o(V(n).effect),
				() => a(V(n).effect)
			]), G(e, t);
		};
		q(_, (e) => {
			V(n).effect !== null && V(n).effect !== void 0 && e(v);
		});
		var y = L(_);
		D(h);
		var b = L(h, 2), x = P(b), S = L(x), ee = (e) => {
			var t = Ir();
			R((e) => K(t, `; most active in ${e ?? ""}`), [() => V(n).shows.join(", ")]), G(e, t);
		};
		q(S, (e) => {
			V(n).shows.length && e(ee);
		});
		var C = L(S), te = (e) => {
			var t = Ir();
			R(() => K(t, `. ${V(n).evidence ?? ""}`)), G(e, t);
		};
		q(C, (e) => {
			V(n).evidence && e(te);
		}), D(b), D(f), D(r), R((e, t, r, i, a, o, s, c, l) => {
			K(m, `${V(n).mode ?? ""} · ${e ?? ""}`), Z(h, "aria-label", t), Z(g, "x1", r), Z(g, "x2", i), Z(y, "x", a), Z(y, "width", o), Z(y, "fill", s), K(x, `measured effect ${c ?? ""}, contribution ${l ?? ""}`);
		}, [
			() => ia(V(n).name),
			() => `Measured effect ${na(V(n).effect)}, contribution ${na(V(n).contribution)}`,
			() => V(i)(0),
			() => V(i)(0),
			() => Math.min(V(i)(0), V(i)(V(n).contribution)),
			() => o(V(n).contribution),
			() => a(V(n).contribution),
			() => na(V(n).effect),
			() => na(V(n).contribution)
		]), G(e, r);
	}), D(f);
	var p = I(L(f, 2));
	R(() => K(p, `Thick bars: measured effects; thin bars: contributions, in ${t.content.unit ?? ""}. Orange supports the target, blue opposes it, also on the picture, where a colour shows what the mode contributes at that place.`)), G(e, s), k();
}
// src/parts/Blocks.svelte
var Sd = /* @__PURE__ */ U("<span class=\"place\"> </span> <!>", 1), Cd = /* @__PURE__ */ U("<section class=\"told\"><!> <!></section>"), wd = /* @__PURE__ */ U("<p><!></p>"), Td = /* @__PURE__ */ U("<li><!></li>"), Ed = /* @__PURE__ */ U("<ul class=\"findings\"></ul>"), Dd = /* @__PURE__ */ U("<dt><!></dt><dd><!></dd>", 1), Od = /* @__PURE__ */ U("<dl class=\"facts\"></dl>"), kd = /* @__PURE__ */ U("<figure><img/> <figcaption><b> </b> <!> <a class=\"save\">Save</a></figcaption></figure>"), Ad = /* @__PURE__ */ U("<span> </span>"), jd = /* @__PURE__ */ U("<div class=\"text\"><p><!></p> <p class=\"tokens\"></p></div>"), Md = /* @__PURE__ */ U("<figure class=\"marked\"><!> <figcaption><b> </b> <!></figcaption></figure>"), Nd = /* @__PURE__ */ U("<th scope=\"col\"><!></th>"), Pd = /* @__PURE__ */ U("<td><!></td>"), Fd = /* @__PURE__ */ U("<tr></tr>"), Id = /* @__PURE__ */ U("<figure class=\"table\"><figcaption><b> </b> <!> <button class=\"plain\">CSV</button></figcaption> <div class=\"scroll\" role=\"region\" tabindex=\"0\"><table><thead><tr></tr></thead><tbody></tbody></table></div></figure>");
function Ld(e, t) {
	O(t, !0);
	let n = Gi(t, "level", 3, 2), r = (e) => e.replaceAll("`", "");
	var i = Lr();
	Y(F(i), 17, () => t.blocks, J, (e, t) => {
		let i = () => V(t).block, a = () => V(t).number, o = () => V(t).inner;
		var s = Lr(), c = F(s), l = (e) => {
			var t = Cd(), r = P(t);
			si(r, () => `h${Math.min(n(), 6)}`, !1, (e, t) => {
				var n = Sd(), r = F(n), o = I(r, !0);
				wl(L(r, 2), { get text() {
					return i().title;
				} }), R(() => K(o, a())), G(t, n);
			});
			var s = L(r, 2);
			{
				let e = /* @__PURE__ */ A(() => n() + 1);
				Ld(s, {
					get blocks() {
						return o();
					},
					get level() {
						return V(e);
					}
				});
			}
			D(t), R((e) => Z(t, "id", e), [() => nd(a())]), G(e, t);
		}, u = (e) => {
			var t = wd();
			wl(P(t), { get text() {
				return i().text;
			} }), D(t), R(() => gi(t, 1, ui(i().style))), G(e, t);
		}, d = (e) => {
			var t = Ed();
			Y(t, 21, () => i().items, J, (e, t) => {
				var n = Td();
				wl(P(n), { get text() {
					return V(t);
				} }), D(n), G(e, n);
			}), D(t), G(e, t);
		}, f = (e) => {
			var t = Od();
			Y(t, 21, () => i().pairs, J, (e, t) => {
				var n = /* @__PURE__ */ A(() => h(V(t), 2));
				let r = () => V(n)[0], i = () => V(n)[1];
				var a = Dd(), o = F(a);
				wl(P(o), { get text() {
					return r();
				} }), D(o);
				var s = L(o);
				wl(P(s), { get text() {
					return i();
				} }), D(s), G(e, a);
			}), D(t), G(e, t);
		}, p = (e) => {
			var t = kd();
			let n;
			var r = P(t);
			let o;
			var s = L(r, 2), c = P(s), l = I(c), u = L(c, 2);
			wl(u, { get text() {
				return i().caption;
			} });
			var d = L(u, 2);
			D(s), D(t), R((e) => {
				n = gi(t, 1, "image", null, n, { wide: i().wide }), Z(r, "src", i().image.at), Z(r, "alt", i().alt), Z(r, "width", i().image.width), Z(r, "height", i().image.height), o = gi(r, 1, "", null, o, {
					crisp: i().image.crisp,
					plate: i().image.plate
				}), K(l, `Figure ${a() ?? ""}.`), Z(d, "href", i().image.at), Z(d, "download", e), Z(d, "aria-label", `Save figure ${a()}`);
			}, [() => sa(`figure ${a()}`, rd(i().image.at))]), G(e, t);
		}, m = (e) => {
			var t = Md(), n = P(t);
			Y(n, 17, () => i().rows, J, (e, t) => {
				var n = /* @__PURE__ */ A(() => h(V(t), 2));
				let r = () => V(n)[0], i = () => V(n)[1];
				var a = jd(), o = P(a);
				wl(P(o), { get text() {
					return r();
				} }), D(o);
				var s = L(o, 2);
				Y(s, 21, i, J, (e, t) => {
					var n = /* @__PURE__ */ A(() => h(V(t), 3));
					let r = () => V(n)[0], i = () => V(n)[1], a = () => V(n)[2];
					var o = Ad();
					let s;
					var c = I(o, !0);
					R((e) => {
						gi(o, 1, ui(i() < 0 ? "against" : "for")), Z(o, "title", a()), s = X(o, "", s, { "--strength": e }), K(c, r());
					}, [() => `${Math.round(75 * Math.abs(i()))}%`]), G(e, o);
				}), D(s), D(a), G(e, a);
			});
			var r = L(n, 2), o = P(r), s = I(o);
			wl(L(o, 2), { get text() {
				return i().caption;
			} }), D(r), D(t), R(() => K(s, `Figure ${a() ?? ""}.`)), G(e, t);
		}, g = (e) => {
			var t = Id(), n = P(t), o = P(n), s = I(o), c = L(o, 2);
			wl(c, { get text() {
				return i().caption;
			} });
			var l = L(c, 2);
			D(n);
			var u = L(n, 2), d = P(u), f = P(d), p = P(f);
			Y(p, 21, () => i().header, J, (e, t, n) => {
				var r = Nd();
				let a;
				wl(P(r), { get text() {
					return V(t);
				} }), D(r), R(() => a = gi(r, 1, "", null, a, { n: !i().words[n] })), G(e, r);
			}), D(p), D(f);
			var m = L(f);
			Y(m, 21, () => i().rows, J, (e, t) => {
				var n = Fd();
				Y(n, 21, () => V(t), J, (e, t, n) => {
					var r = Pd();
					let a;
					wl(P(r), { get text() {
						return V(t);
					} }), D(r), R(() => a = gi(r, 1, "", null, a, { n: !i().words[n] })), G(e, r);
				}), D(n), G(e, n);
			}), D(m), D(d), D(u), D(t), R(() => {
				K(s, `Table ${a() ?? ""}.`), Z(l, "aria-label", `Save table ${a()} as CSV`), Z(u, "aria-label", `Table ${a()}`);
			}), H("click", l, () => la(i().header.map(r), i().rows.map((e) => e.map(r)), `table ${a()}`)), G(e, t);
		}, _ = (e) => {
			{
				let t = /* @__PURE__ */ A(() => i().content.caption ?? "");
				ru(e, {
					get only() {
						return i().content.charts;
					},
					get caption() {
						return V(t);
					}
				});
			}
		}, v = (e) => {
			sd(e, {
				get site() {
					return i().content.site;
				},
				get modes() {
					return i().content.modes;
				},
				get level() {
					return n();
				}
			});
		}, y = (e) => {
			Sl(e, { get curve() {
				return i().content;
			} });
		}, b = (e) => {
			xd(e, { get content() {
				return i().content;
			} });
		};
		q(c, (e) => {
			i().kind === "section" ? e(l) : i().kind === "text" ? e(u, 1) : i().kind === "points" ? e(d, 2) : i().kind === "facts" ? e(f, 3) : i().kind === "figure" ? e(p, 4) : i().kind === "marked" ? e(m, 5) : i().kind === "table" ? e(g, 6) : i().name === "layers" ? e(_, 7) : i().name === "modes" ? e(v, 8) : i().name === "curves" ? e(y, 9) : i().name === "sum" && e(b, 10);
		}), G(e, s);
	}), G(e, i), k();
}
Dr(["click"]);
// src/parts/Contents.svelte
var Rd = /* @__PURE__ */ U("<li><a><span class=\"place\"> </span> <!></a></li>"), zd = /* @__PURE__ */ U("<nav class=\"contents\" aria-label=\"Contents\"><ol></ol></nav>");
function Bd(e, t) {
	O(t, !0);
	let n = Gi(t, "deepest", 3, 1), r = /* @__PURE__ */ A(() => td(t.sections).filter((e) => e.depth < n()));
	function i(e, t) {
		e.preventDefault(), e.stopPropagation();
		let n = e.currentTarget.getRootNode().querySelector(`#${nd(t)}`);
		n?.scrollIntoView(), n?.querySelector("h2, h3")?.focus({ preventScroll: !0 });
	}
	var a = Lr(), o = F(a), s = (e) => {
		var t = zd(), n = P(t);
		Y(n, 21, () => V(r), J, (e, t) => {
			var n = Rd();
			let r;
			var a = P(n), o = P(a), s = I(o, !0);
			wl(L(o, 2), { get text() {
				return V(t).title;
			} }), D(a), D(n), R((e) => {
				r = X(n, "", r, { "padding-left": `${1.2 * V(t).depth}em` }), Z(a, "href", e), K(s, V(t).number);
			}, [() => `#${nd(V(t).number)}`]), H("click", a, (e) => i(e, V(t).number)), G(e, n);
		}), D(n), D(t), G(e, t);
	};
	q(o, (e) => {
		V(r).length > 1 && e(s);
	}), G(e, a), k();
}
Dr(["click"]);
// src/views/Overview.svelte
var Vd = /* @__PURE__ */ U("<p class=\"subtitle\"><!></p>"), Hd = /* @__PURE__ */ U("<div class=\"note\"><p><b> </b> </p></div>"), Ud = /* @__PURE__ */ U("<div class=\"note screen\"><p> </p></div>"), Wd = /* @__PURE__ */ U("<li><!></li>"), Gd = /* @__PURE__ */ U("<footer><p class=\"small\"><!></p></footer>"), Kd = /* @__PURE__ */ U("<section><h2>What was found</h2> <ul class=\"findings\"></ul> <!></section> <!> <!>", 1), qd = /* @__PURE__ */ U("<h1> </h1> <!> <p class=\"lead\"><!></p> <!> <section class=\"screen\"><h2>Sites</h2> <!> <p class=\"small\">R²: how much of the contributions the modes explain, on held-out samples. A cut is a site that every path from\n    input to output passes, so that contributions there sum to the change of the target; the gap is the median\n    difference. <!></p></section> <!> <!> <!>", 1);
function Jd(e, t) {
	O(t, !0);
	let n = Ye("source"), r = n.view("story"), i = /* @__PURE__ */ A(() => t.data.sites.map((e) => [
		e.site,
		e.units,
		e.modes,
		e.r2,
		e.l0,
		e.cut,
		e.gap === null ? null : ra(e.gap)
	])), a = {
		modes: "modes",
		flow: "flow between modes",
		control: "control curves",
		effects: "measured effects of modes"
	};
	var o = qd(), s = F(o), c = I(s, !0), l = L(s, 2), u = (e) => {
		var n = Vd();
		wl(P(n), { get text() {
			return t.data.subtitle;
		} }), D(n), G(e, n);
	};
	q(l, (e) => {
		t.data.subtitle && e(u);
	});
	var f = L(l, 2);
	wl(P(f), { get text() {
		return t.data.lead;
	} }), D(f);
	var p = L(f, 2);
	Y(p, 17, () => t.data.sites.filter((e) => e.caution), J, (e, t) => {
		var n = Hd(), r = P(n), i = P(r), a = I(i), o = L(i);
		D(r), D(n), R(() => {
			K(a, `${V(t).site ?? ""}.`), K(o, ` ${V(t).caution ?? ""}`);
		}), G(e, n);
	});
	var m = L(p, 2), g = L(P(m), 2);
	Ca(g, {
		title: "Sites",
		columns: [
			"site",
			"hidden units",
			"modes",
			"R²",
			"active modes per sample",
			"cut",
			"gap of the sum"
		],
		get rows() {
			return V(i);
		},
		links: (e, n) => {
			let r = t.data.sites[e];
			return n === 0 && r?.modes ? Q("modes", [r.site]) : null;
		}
	});
	var _ = L(g, 2);
	ga(L(P(_)), { get code() {
		return t.data.python;
	} }), D(_), D(m);
	var v = L(m, 2);
	Y(v, 17, () => Object.entries(t.data.missing), J, (e, t) => {
		var n = /* @__PURE__ */ A(() => h(V(t), 2));
		let r = () => V(n)[0], i = () => V(n)[1];
		{
			let t = /* @__PURE__ */ A(() => a[r()] ?? r());
			ea(e, {
				get what() {
					return V(t);
				},
				get command() {
					return i();
				}
			});
		}
	});
	var y = L(v, 2), b = (e) => {
		var t = Ud(), r = I(P(t), !0);
		D(t), R(() => K(r, n.about.reason)), G(e, t);
	};
	q(y, (e) => {
		!n.about.live && n.about.reason && e(b);
	}), Qi(L(y, 2), {
		get promise() {
			return r;
		},
		children: (e, t = d) => {
			let n = /* @__PURE__ */ A(() => ed([], t().sections));
			var r = Kd(), i = F(r), a = L(P(i), 2);
			Y(a, 21, () => t().sentences, J, (e, t) => {
				var n = Wd();
				wl(P(n), { get text() {
					return V(t);
				} }), D(n), G(e, n);
			}), D(a), Bd(L(a, 2), { get sections() {
				return V(n).sections;
			} }), D(i);
			var o = L(i, 2);
			Ld(o, { get blocks() {
				return V(n).sections;
			} });
			var s = L(o, 2), c = (e) => {
				var n = Gd(), r = P(n);
				wl(P(r), { get text() {
					return t().footer;
				} }), D(r), D(n), G(e, n);
			};
			q(s, (e) => {
				t().footer && e(c);
			}), G(e, r);
		},
		$$slots: { default: !0 }
	}), R(() => K(c, t.data.title)), G(e, o), k();
}
// src/views/Sample.svelte
var Yd = /* @__PURE__ */ U("<br/> ", 1), Xd = /* @__PURE__ */ U("<p><a>Explain it live: maps, switches, contrasts</a></p>"), Zd = /* @__PURE__ */ U("<option> </option>"), Qd = /* @__PURE__ */ U("<div class=\"controls\"><label>Site <select></select></label></div> <!> <h2>All active modes</h2> <!>", 1), $d = /* @__PURE__ */ U("<p class=\"kicker\"><a>Samples</a> </p> <h1> </h1> <div class=\"try\"><div><!> <p class=\"small\"> <!></p> <ul class=\"numbers\"><li><b> </b><span> </span></li> <li><b> </b><span>at the baseline</span></li> <li><b> </b><span>change, explained here</span></li></ul> <!> <!></div> <div><!> <!></div></div>", 1);
function ef(e, t) {
	O(t, !0);
	let n = Ye("source"), r = /* @__PURE__ */ A(() => t.data.sites.find((e) => e.site === t.query.site) ?? t.data.sites.at(-1));
	var i = $d(), a = F(i), o = P(a), s = L(o);
	D(a);
	var c = L(a, 2), l = I(c, !0), u = L(c, 2), d = P(u), f = P(d);
	{
		let e = /* @__PURE__ */ A(() => t.data.label ?? t.data.key);
		hu(f, {
			get row() {
				return t.data.row;
			},
			side: 384,
			get alt() {
				return V(e);
			},
			get words() {
				return t.data.key;
			}
		});
	}
	var p = L(f, 2);
	X(p, "", {}, { "margin-top": "0.5rem" });
	var m = P(p, !0), h = L(m), g = (e) => {
		var n = Yd(), r = L(F(n));
		R(() => K(r, `predicted: ${t.data.prediction ?? ""}`)), G(e, n);
	};
	q(h, (e) => {
		t.data.prediction && e(g);
	}), D(p);
	var _ = L(p, 2), v = P(_), y = P(v), b = I(y, !0), x = I(L(y));
	D(v);
	var S = L(v, 2), ee = I(P(S), !0);
	De(), D(S);
	var C = L(S, 2), te = I(P(C), !0);
	De(), D(C), D(_);
	var ne = L(_, 2), re = (e) => {
		var n = Xd(), i = I(n);
		R((e) => Z(i, "href", e), [() => Q("try", [], {
			row: t.data.row,
			site: V(r)?.site
		})]), G(e, n);
	};
	q(ne, (e) => {
		n.live && e(re);
	}), ga(L(ne, 2), { get code() {
		return t.data.python;
	} }), D(d);
	var ie = L(d, 2), ae = P(ie), oe = (e) => {
		var n = Qd(), i = F(n), a = P(i), o = L(P(a));
		Y(o, 21, () => t.data.sites, J, (e, t) => {
			var n = Zd(), r = I(n, !0), i = {};
			R(() => {
				K(r, V(t).site), i !== (i = V(t).site) && (n.value = (n.__value = i) ?? "");
			}), G(e, n);
		}), D(o);
		var s;
		xi(o), D(a), D(i);
		var c = L(i, 2);
		gd(c, {
			get terms() {
				return V(r);
			},
			get unit() {
				return t.unit;
			}
		});
		var l = L(c, 4);
		{
			let e = /* @__PURE__ */ A(() => `Modes of sample ${t.data.row} at ${V(r).site}`), n = /* @__PURE__ */ A(() => V(r).terms.map((e) => [
				e.mode,
				ia(e.name),
				e.contribution,
				e.loading
			]));
			Ca(l, {
				get title() {
					return V(e);
				},
				columns: [
					"mode",
					"name",
					"contribution",
					"loading"
				],
				get rows() {
					return V(n);
				},
				links: (e, t) => t < 2 && V(r) ? Q("mode", [V(r).site, V(r).terms[e]?.mode ?? 0]) : null
			});
		}
		R(() => {
			s !== (s = V(r).site) && (o.value = (o.__value = s) ?? "", bi(o, s));
		}), H("change", o, (e) => t.go(Q("sample", [t.data.row], { site: e.currentTarget.value }), !0)), G(e, n);
	};
	q(ae, (e) => {
		V(r) && e(oe);
	}), ea(L(ae, 2), {
		what: "modes",
		get command() {
			return t.data.missing.modes;
		}
	}), D(ie), D(u), R((e, n, r, i) => {
		Z(o, "href", e), K(s, ` · ${t.data.row ?? ""}`), K(l, t.data.label ?? t.data.key), K(m, t.data.key), K(b, n), K(x, `target, ${t.unit ?? ""}`), K(ee, r), K(te, i);
	}, [
		() => Q("samples"),
		() => $(t.data.target),
		() => $(t.data.baseline),
		() => na(t.data.change)
	]), G(e, i), k();
}
Dr(["change"]);
// src/views/Samples.svelte
var tf = /* @__PURE__ */ U("<label class=\"row\"><input type=\"checkbox\"/> only where the prediction is another class</label>"), nf = /* @__PURE__ */ U("<br/><span class=\"against\"> </span>", 1), rf = /* @__PURE__ */ U("<li><a><!> <div class=\"about\"> <!></div></a></li>"), af = /* @__PURE__ */ U("<p><button>Previous</button> <span class=\"small\"> </span> <button>Next</button></p>"), of = /* @__PURE__ */ U("<h1>Samples</h1> <div class=\"controls\"><label>Search <input type=\"search\" placeholder=\"class or name\"/></label> <!></div> <p class=\"small\" role=\"status\"> <!></p> <ul class=\"gallery\"></ul> <!>", 1);
function sf(e, t) {
	O(t, !0), Ye("source");
	let n = (e) => e < 0 ? "" : t.data.classes?.[e] ?? `class ${e}`, r = (e) => !t.data.own_classes && (t.data.labels[e] ?? -1) >= 0 && t.data.labels[e] !== t.data.predictions[e], i = /* @__PURE__ */ A(() => (t.query.search ?? "").toLowerCase()), a = /* @__PURE__ */ A(() => t.data.keys.map((e, t) => t).filter((e) => (!V(i) || `${t.data.keys[e]} ${n(t.data.labels[e] ?? -1)}`.toLowerCase().includes(V(i))) && (t.query.wrong !== "1" || r(e)))), o = /* @__PURE__ */ A(() => Math.max(0, Math.min(Number(t.query.page ?? 0) || 0, Math.ceil(V(a).length / 60) - 1))), s = /* @__PURE__ */ A(() => V(a).slice(V(o) * 60, V(o) * 60 + 60)), c = (e) => t.go(Q("samples", [], {
		...t.query,
		...e
	}), !0);
	var l = of(), u = L(F(l), 2), d = P(u), f = L(P(d));
	ki(f), D(d);
	var p = L(d, 2), m = (e) => {
		var n = tf(), r = P(n);
		ki(r), De(), D(n), R(() => ji(r, t.query.wrong === "1")), H("change", r, (e) => c({
			wrong: e.currentTarget.checked ? "1" : "",
			page: ""
		})), G(e, n);
	};
	q(p, (e) => {
		t.data.own_classes || e(m);
	}), D(u);
	var h = L(u, 2), g = P(h);
	ga(L(g), { get code() {
		return t.data.python;
	} }), D(h);
	var _ = L(h, 2);
	Y(_, 20, () => V(s), (e) => e, (e, i) => {
		var a = rf(), o = P(a), s = P(o);
		hu(s, {
			get row() {
				return i;
			},
			side: 192,
			get words() {
				return t.data.keys[i];
			}
		});
		var c = L(s, 2), l = P(c, !0), u = L(l), d = (e) => {
			var r = nf(), a = I(L(F(r)));
			R((e) => K(a, `predicted ${e ?? ""}`), [() => n(t.data.predictions[i] ?? -1)]), G(e, r);
		}, f = /* @__PURE__ */ A(() => r(i));
		q(u, (e) => {
			V(f) && e(d);
		}), D(c), D(o), D(a), R((e, t) => {
			Z(o, "href", e), K(l, t);
		}, [() => Q("sample", [i]), () => n(t.data.labels[i] ?? -1) || t.data.keys[i]]), G(e, a);
	}), D(_);
	var v = L(_, 2), y = (e) => {
		var t = af();
		X(t, "", {}, { "margin-top": "1rem" });
		var n = P(t), r = L(n, 2), i = I(r), s = L(r, 2);
		D(t), R((e) => {
			n.disabled = V(o) === 0, K(i, ` page ${V(o) + 1} of ${e ?? ""} `), s.disabled = (V(o) + 1) * 60 >= V(a).length;
		}, [() => Math.ceil(V(a).length / 60)]), H("click", n, () => c({ page: String(V(o) - 1) })), H("click", s, () => c({ page: String(V(o) + 1) })), G(e, t);
	};
	q(v, (e) => {
		V(a).length > 60 && e(y);
	}), R((e, n) => {
		Ai(f, t.query.search ?? ""), K(g, `${e ?? ""} of ${n ?? ""} samples. `);
	}, [() => $(V(a).length), () => $(t.data.keys.length)]), H("input", f, (e) => c({
		search: e.currentTarget.value,
		page: ""
	})), G(e, l), k();
}
Dr([
	"input",
	"change",
	"click"
]);
// src/parts/Eraser.svelte
var cf = /* @__PURE__ */ U("<div class=\"picture\" role=\"application\" aria-label=\"Erase a part: drag over the picture, or move with arrows and paint with space\" tabindex=\"0\"><img alt=\"\" draggable=\"false\"/> <svg aria-hidden=\"true\"><path fill=\"#8a8379\" fill-opacity=\"0.92\"></path><rect width=\"3\" height=\"3\" fill=\"none\" stroke=\"#fff\" stroke-width=\"0.25\"></rect></svg></div>");
function lf(e, t) {
	O(t, !0);
	let n = /* @__PURE__ */ A(() => t.grid.length), r = /* @__PURE__ */ M(void 0), i = /* @__PURE__ */ M(tn([14, 14])), a = !1;
	function o(e, r) {
		for (let i = e - 1; i <= e + 1; i++) for (let e = r - 1; e <= r + 1; e++) {
			let r = t.grid[i];
			r && e >= 0 && e < V(n) && (r[e] = !0);
		}
	}
	function s(e) {
		if (!a || !V(r)) return;
		let { left: t, top: i, width: s, height: c } = V(r).getBoundingClientRect();
		o(Math.floor((e.clientY - i) / c * V(n)), Math.floor((e.clientX - t) / s * V(n)));
	}
	function c(e) {
		let t = {
			ArrowUp: [-1, 0],
			ArrowDown: [1, 0],
			ArrowLeft: [0, -1],
			ArrowRight: [0, 1]
		}[e.key];
		if (t) N(i, [Math.min(V(n) - 1, Math.max(0, V(i)[0] + (t[0] ?? 0))), Math.min(V(n) - 1, Math.max(0, V(i)[1] + (t[1] ?? 0)))], !0);
		else if (e.key === " ") o(...V(i));
		else return;
		e.preventDefault();
	}
	let l = /* @__PURE__ */ A(() => t.grid.flatMap((e, t) => e.flatMap((e, n) => e ? [`M${n},${t}h1v1h-1z`] : [])).join(""));
	var u = cf();
	X(u, "", {}, {
		"touch-action": "none",
		cursor: "crosshair"
	});
	var d = P(u), f = L(d, 2);
	X(f, "", {}, {
		position: "absolute",
		inset: "0",
		width: "100%"
	});
	var p = P(f), m = L(p);
	D(f), D(u), Hi(u, (e) => N(r, e), () => V(r)), R(() => {
		Z(d, "src", t.at), Z(f, "viewBox", `0 0 ${V(n)} ${V(n)}`), Z(p, "d", V(l)), Z(m, "x", V(i)[1] - 1), Z(m, "y", V(i)[0] - 1);
	}), H("keydown", u, c), H("pointerdown", u, (e) => {
		a = !0, e.currentTarget.setPointerCapture(e.pointerId), s(e);
	}), H("pointermove", u, s), H("pointerup", u, () => a = !1), G(e, u), k();
}
Dr([
	"keydown",
	"pointerdown",
	"pointermove",
	"pointerup"
]);
// src/views/Try.svelte
var uf = /* @__PURE__ */ U("<div class=\"note\"><p> </p></div>"), df = /* @__PURE__ */ U("<div class=\"note error\" role=\"alert\"><p> </p></div>"), ff = /* @__PURE__ */ U("<div role=\"group\" aria-label=\"Picture\"><p>Drop a photograph here, or</p> <button class=\"primary\">Choose a file</button> <input type=\"file\" accept=\"image/*\" hidden=\"\" aria-label=\"Photograph\"/> <p class=\"small\">It stays on this machine. Or open a <a>sample of the run</a>.</p></div>"), pf = /* @__PURE__ */ U("Paint over a part; it becomes the mean colour of the rest.<br/> <button>Explain without it</button> <button>Cancel</button>", 1), mf = /* @__PURE__ */ U(" <button class=\"plain\">Hide</button>", 1), hf = /* @__PURE__ */ U("<button class=\"plain\">Whole picture again</button>"), gf = /* @__PURE__ */ U("<!> <button class=\"plain\">Erase a part</button> <!>", 1), _f = /* @__PURE__ */ U("<div><!></div> <p class=\"small\"><!></p>", 1), vf = /* @__PURE__ */ U("<option> </option>"), yf = /* @__PURE__ */ U("<option></option>"), bf = /* @__PURE__ */ U("<p class=\"busy\" role=\"status\"> <progress aria-label=\"Progress\"></progress> <button>Cancel</button></p>"), xf = /* @__PURE__ */ U("<p class=\"busy\">Cancelled.</p>"), Sf = /* @__PURE__ */ U("<p class=\"busy\">No picture yet.</p>"), Cf = /* @__PURE__ */ U("<i></i>"), wf = /* @__PURE__ */ U("<span> </span> <span class=\"bar\"><!><b></b></span> <span> </span>", 1), Tf = /* @__PURE__ */ U("<button class=\"plain\">Reset all</button>"), Ef = /* @__PURE__ */ U("<div class=\"probabilities\" role=\"group\" aria-label=\"Class probabilities\"></div> <p class=\"small\"> <!></p>", 1), Df = /* @__PURE__ */ U("<div class=\"switch\"><!> <span><a> </a> <button class=\"plain\">Show</button><button class=\"plain\">Alike</button></span> <input type=\"range\" min=\"0\" max=\"2\" step=\"0.05\"/> <span class=\"factor\"> </span> <span> </span></div>"), Of = /* @__PURE__ */ U("<li><a><!><div class=\"about\"> </div></a></li>"), kf = /* @__PURE__ */ U("<h2> </h2> <ul class=\"gallery\"></ul>", 1), Af = /* @__PURE__ */ U("<h2>What the erased part changed</h2> <!>", 1), jf = /* @__PURE__ */ U("<h2> </h2> <!> <h2>Switch modes</h2> <div class=\"switches\"></div> <p class=\"small\"> </p> <!> <!> <h2>The whole sum</h2> <!> <!>", 1), Mf = /* @__PURE__ */ U("<p class=\"lead\">The network’s answer for one picture, as a sum over modes. Switch modes off or up, ask why one class and not another, or erase a part.</p> <!> <div class=\"try\"><div><!> <!> <div class=\"controls\"><label>Site <select></select></label> <label>Class <input list=\"cl-outputs\" placeholder=\"the predicted one\"/></label> <label>instead of <input list=\"cl-outputs\" placeholder=\"no other\"/></label> <datalist id=\"cl-outputs\"></datalist></div></div> <div aria-live=\"polite\"><!> <!></div></div>", 1), Nf = /* @__PURE__ */ U("<h1>Try a picture</h1> <!>", 1);
function Pf(e, t) {
	O(t, !0);
	let n = Ye("source"), r = n.live, i = () => Array.from({ length: 28 }, () => Array(28).fill(!1)), a = /* @__PURE__ */ M(""), o = /* @__PURE__ */ M(null), s = /* @__PURE__ */ M(""), c = /* @__PURE__ */ M(""), l = /* @__PURE__ */ M(tn(i())), u = /* @__PURE__ */ M(!1), d = /* @__PURE__ */ M(!1), f = /* @__PURE__ */ M(""), p = /* @__PURE__ */ M(null), m = /* @__PURE__ */ M(null), h = /* @__PURE__ */ M(null), g = /* @__PURE__ */ M(null), _ = /* @__PURE__ */ M(tn({})), v = /* @__PURE__ */ M(null), y = /* @__PURE__ */ M(null), b = /* @__PURE__ */ M(""), x = /* @__PURE__ */ M(void 0), S = !1;
	qi(() => {
		S = !0, ee() && r?.cancel(V(f));
	});
	let ee = () => V(p)?.state === "running" || V(p)?.state === "waiting", C = /* @__PURE__ */ A(() => V(m)?.sites[0] ?? null), te = /* @__PURE__ */ A(() => V(C)?.terms.slice(0, 12) ?? []), ne = /* @__PURE__ */ A(() => V(C)?.terms.find((e) => e.mode === V(g))?.map ?? null), re = /* @__PURE__ */ A(() => n.about.outputs ?? []), ie = /* @__PURE__ */ A(() => {
		let [e, t] = [V(h)?.sites[0], V(C)];
		if (!e || !t || e.site !== t.site) return [];
		let n = new Map(e.terms.map((e) => [e.mode, e])), r = new Map(t.terms.map((e) => [e.mode, e]));
		return [.../* @__PURE__ */ new Set([...n.keys(), ...r.keys()])].map((e) => ({
			mode: e,
			name: (r.get(e) ?? n.get(e))?.name ?? "",
			from: n.get(e)?.contribution ?? 0,
			to: r.get(e)?.contribution ?? 0
		})).sort((e, t) => Math.abs(t.to - t.from) - Math.abs(e.to - e.from));
	});
	wn(() => {
		V(a) || N(a, t.query.site && t.sites.includes(t.query.site) ? t.query.site : t.sites.at(-1) ?? "", !0);
	}), wn(() => {
		let e = t.query.row;
		e !== void 0 && /^\d+$/.test(e) && V(o)?.row !== Number(e) && r && (N(o, { row: Number(e) }, !0), N(l, i(), !0), queueMicrotask(() => oe(!1)));
	});
	async function ae(e) {
		if (e && r) {
			N(b, "");
			try {
				N(o, { picture: await r.upload(e) }, !0), N(l, i(), !0), await oe(!1);
			} catch (e) {
				N(b, e.message, !0);
			}
		}
	}
	async function oe(e) {
		if (!r || !V(o)) return;
		ee() && await r.cancel(V(f)).catch(() => void 0), N(b, ""), N(y, null);
		let t = e ? V(h) ?? V(m) : null, n = V(m)?.outputs[0]?.output ?? null, i = (e) => {
			if (!e) return null;
			let t = V(re).indexOf(e);
			return t >= 0 ? t : Number(e);
		};
		try {
			N(f, await r.explain({
				...V(o),
				sites: [V(a)],
				target: i(V(s)) ?? (e ? n : null),
				instead_of: i(V(c)),
				erased: e ? V(l) : null
			}), !0);
			let d = V(f);
			for (N(p, {
				state: "waiting",
				done: 0,
				total: 1
			}, !0); !S && d === V(f);) {
				let e = await r.job(d);
				if (d !== V(f)) return;
				if (N(p, e, !0), e.state === "done" && e.result) {
					N(h, t, !0), N(m, e.result, !0), N(_, {}, !0), N(v, null), N(g, e.result.sites[0]?.terms[0]?.mode ?? null, !0), N(u, !1);
					return;
				}
				if (e.state === "failed") throw Error(e.error);
				if (e.state === "cancelled") return;
				await new Promise((e) => setTimeout(e, 120));
			}
		} catch (e) {
			N(b, e.message, !0), N(p, null);
		}
	}
	let se = !1, ce = !1;
	async function le() {
		if (se) ce = !0;
		else if (r && V(C)) {
			se = !0;
			try {
				let e = Object.fromEntries(Object.entries(V(_)).filter(([, e]) => e !== 1));
				N(v, Object.keys(e).length ? await r.switch(V(f), V(C).site, e) : null, !0);
			} catch (e) {
				N(b, e.message, !0);
			}
			se = !1, ce && (ce = !1, le());
		}
	}
	async function ue(e, t) {
		if (V(C)) try {
			N(y, await n.view("similar", V(C).site, e, t), !0);
		} catch (e) {
			N(b, e.message, !0);
		}
	}
	let de = /* @__PURE__ */ A(() => V(v) ? [...V(v).after].sort((e, t) => t.probability - e.probability).slice(0, 8).map((e) => ({
		...e,
		was: V(v)?.before.find((t) => t.output === e.output)?.probability ?? null
	})) : V(m)?.outputs.slice(0, 8).map((e) => ({
		...e,
		was: null
	})) ?? []);
	var fe = Nf(), pe = L(F(fe), 2), me = (e) => {
		var t = uf(), r = I(P(t), !0);
		D(t), R(() => K(r, n.about.reason || "The network of this run is not loaded, so nothing can be computed here.")), G(e, t);
	}, he = (e) => {
		var o = Mf(), S = L(F(o), 2), se = (e) => {
			var t = df(), n = I(P(t), !0);
			D(t), R(() => K(n, V(b))), G(e, t);
		};
		q(S, (e) => {
			V(b) && e(se);
		});
		var ce = L(S, 2), fe = P(ce), pe = P(fe), me = (e) => {
			var t = ff();
			let n;
			var r = P(t);
			X(r, "", {}, { "margin-bottom": "0.5rem" });
			var i = L(r, 2), a = L(i, 2);
			Hi(a, (e) => N(x, e), () => V(x));
			var o = L(a, 2);
			X(o, "", {}, { margin: "0.7rem 0 0" });
			var s = L(P(o));
			De(), D(o), D(t), R((e) => {
				n = gi(t, 1, "drop", null, n, { over: V(d) }), Z(s, "href", e);
			}, [() => Q("samples")]), Er("dragover", t, (e) => {
				e.preventDefault(), N(d, !0);
			}), Er("dragleave", t, () => N(d, !1)), Er("drop", t, (e) => {
				e.preventDefault(), N(d, !1), ae(e.dataTransfer?.files[0]);
			}), H("click", i, () => V(x)?.click()), H("change", a, (e) => {
				ae(e.currentTarget.files?.[0]), e.currentTarget.value = "";
			}), G(e, t);
		};
		q(pe, (e) => {
			n.about.uploads && e(me);
		});
		var he = L(pe, 2), ge = (e) => {
			var t = _f(), n = F(t);
			X(n, "", {}, { "margin-top": "1rem" });
			var r = P(n), a = (e) => {
				lf(e, {
					get at() {
						return V(m).picture;
					},
					get grid() {
						return V(l);
					},
					set grid(e) {
						N(l, e, !0);
					}
				});
			}, o = (e) => {
				hu(e, {
					get at() {
						return V(m).picture;
					},
					get map() {
						return V(ne);
					},
					alt: "What the network saw"
				});
			};
			q(r, (e) => {
				V(u) ? e(a) : e(o, -1);
			}), D(n);
			var s = L(n, 2);
			X(s, "", {}, { "margin-top": "0.4rem" });
			var c = P(s), d = (e) => {
				var t = pf(), n = L(F(t), 3), r = L(n, 2);
				R((e) => n.disabled = e, [() => ee() || !V(l).some((e) => e.some(Boolean))]), H("click", n, () => oe(!0)), H("click", r, () => {
					N(l, i(), !0), N(u, !1);
				}), G(e, t);
			}, f = (e) => {
				var t = gf(), n = F(t), r = (e) => {
					var t = mf(), n = F(t), r = L(n);
					R(() => K(n, `Where mode ${V(g) ?? ""} acts. `)), H("click", r, () => N(g, null)), G(e, t);
				};
				q(n, (e) => {
					V(ne) && V(g) !== null && e(r);
				});
				var a = L(n, 2), o = L(a, 2), s = (e) => {
					var t = hf();
					H("click", t, () => {
						N(l, i(), !0), N(h, null), oe(!1);
					}), G(e, t);
				};
				q(o, (e) => {
					V(h) && e(s);
				}), H("click", a, () => N(u, !0)), G(e, t);
			};
			q(c, (e) => {
				V(u) ? e(d) : e(f, -1);
			}), D(s), G(e, t);
		};
		q(he, (e) => {
			V(m) && e(ge);
		});
		var _e = L(he, 2), w = P(_e), ve = L(P(w));
		Y(ve, 21, () => t.sites, J, (e, t) => {
			var n = vf(), r = I(n, !0), i = {};
			R(() => {
				K(r, V(t)), i !== (i = V(t)) && (n.__value = i);
			}), G(e, n);
		}), D(ve), xi(ve), D(w);
		var ye = L(w, 2), be = L(P(ye));
		ki(be), D(ye);
		var xe = L(ye, 2), Se = L(P(xe));
		ki(Se), D(xe);
		var Ce = L(xe, 2);
		Y(Ce, 21, () => V(re), J, (e, t) => {
			var n = yf(), r = {};
			R(() => {
				r !== (r = V(t)) && (n.value = (n.__value = r) ?? "");
			}), G(e, n);
		}), D(Ce), D(_e), D(fe);
		var T = L(fe, 2), we = P(T), E = (e) => {
			var t = bf(), n = P(t), i = L(n), a = L(i, 2);
			D(t), R(() => {
				K(n, `${V(p).state === "waiting" ? "Waiting for the network …" : "Computing the contributions …"} `), Z(i, "max", V(p).total), Ai(i, V(p).done);
			}), H("click", a, () => r.cancel(V(f))), G(e, t);
		}, Te = /* @__PURE__ */ A(() => V(p) && ee()), Ee = (e) => {
			G(e, xf());
		}, Oe = (e) => {
			G(e, Sf());
		};
		q(we, (e) => {
			V(Te) ? e(E) : V(p)?.state === "cancelled" ? e(Ee, 1) : V(m) || e(Oe, 2);
		});
		var ke = L(we, 2), Ae = (e) => {
			var t = jf(), n = F(t);
			X(n, "", {}, { "margin-top": "0" });
			var r = I(n), i = L(n, 2), a = (e) => {
				var t = Ef(), n = F(t);
				Y(n, 21, () => V(de), (e) => e.output, (e, t) => {
					var n = wf(), r = F(n), i = I(r, !0), a = L(r, 2), o = P(a), s = (e) => {
						var n = Cf();
						let r;
						R(() => r = X(n, "", r, { width: `${100 * V(t).was}%` })), G(e, n);
					};
					q(o, (e) => {
						V(t).was !== null && e(s);
					});
					var c = L(o);
					let l;
					D(a);
					var u = I(L(a, 2), !0);
					R((e) => {
						K(i, V(t).name), l = X(c, "", l, { width: `${100 * V(t).probability}%` }), K(u, e);
					}, [() => ra(V(t).probability)]), G(e, n);
				}), D(n);
				var r = L(n, 2), i = P(r), a = L(i), o = (e) => {
					var t = Tf();
					H("click", t, () => {
						N(_, {}, !0), N(v, null);
					}), G(e, t);
				};
				q(a, (e) => {
					V(v) && e(o);
				}), D(r), R((e) => K(i, `${e ?? ""} `), [() => V(v) ? `With the modes switched; grey: before. The target changes from ${$(V(v).target_before)} to ${$(V(v).target_after)} ${V(m).unit}.` : "Probabilities of the classes."]), G(e, t);
			};
			q(i, (e) => {
				V(de).length && e(a);
			});
			var o = L(i, 4);
			Y(o, 21, () => V(te), (e) => e.mode, (e, t) => {
				var n = Df(), r = P(n);
				{
					let e = /* @__PURE__ */ A(() => V(t).map ?? null);
					hu(r, {
						get at() {
							return V(m).picture;
						},
						get map() {
							return V(e);
						}
					});
				}
				var i = L(r, 2), a = P(i), o = I(a), s = L(a, 2), c = L(s);
				D(i);
				var l = L(i, 2);
				ki(l);
				var u = L(l, 2), d = I(u, !0), f = L(u, 2), p = I(f, !0);
				D(n), R((e, n, r, i) => {
					Z(a, "href", e), K(o, `${V(t).mode ?? ""} · ${n ?? ""}`), Ai(l, V(_)[V(t).mode] ?? 1), Z(l, "aria-label", `Mode ${V(t).mode}: factor`), K(d, r), gi(f, 1, `effect ${V(t).contribution >= 0 ? "for" : "against"}`), K(p, i);
				}, [
					() => Q("mode", [V(C).site, V(t).mode]),
					() => ia(V(t).name),
					() => V(_)[V(t).mode] === 0 ? "off" : `× ${$(V(_)[V(t).mode] ?? 1, 2)}`,
					() => na(V(t).contribution)
				]), H("click", s, () => N(g, V(t).mode, !0)), H("click", c, () => ue(V(t).mode, V(t).loading)), H("input", l, (e) => {
					V(_)[V(t).mode] = Number(e.currentTarget.value), le();
				}), G(e, n);
			}), D(o);
			var s = L(o, 2), c = I(s), l = L(s, 2), u = (e) => {
				var t = kf(), n = F(t), r = I(n), i = L(n, 2);
				Y(i, 21, () => V(y).rows, (e) => e.row, (e, t) => {
					var n = Of(), r = P(n), i = P(r);
					hu(i, {
						get row() {
							return V(t).row;
						},
						side: 192,
						get words() {
							return V(t).key;
						}
					});
					var a = I(L(i));
					D(r), D(n), R((e, n) => {
						Z(r, "href", e), K(a, `${V(t).label ?? V(t).key ?? ""} · ${n ?? ""}`);
					}, [() => Q("sample", [V(t).row]), () => $(V(t).loading, 2)]), G(e, n);
				}), D(i), R(() => K(r, `Samples in which mode ${V(y).mode ?? ""} is as active`)), G(e, t);
			};
			q(l, (e) => {
				V(y) && e(u);
			});
			var d = L(l, 2), f = (e) => {
				var t = Af(), n = L(F(t), 2);
				{
					let e = /* @__PURE__ */ A(() => V(ie).map((e) => [
						e.mode,
						ia(e.name),
						e.from,
						e.to,
						e.to - e.from
					]));
					Ca(n, {
						title: "Modes with and without the part",
						columns: [
							"mode",
							"name",
							"whole picture",
							"without the part",
							"change"
						],
						get rows() {
							return V(e);
						},
						most: 12
					});
				}
				G(e, t);
			};
			q(d, (e) => {
				V(ie).length && e(f);
			});
			var p = L(d, 4);
			gd(p, {
				get terms() {
					return V(C);
				},
				get unit() {
					return V(m).unit;
				}
			});
			var h = L(p, 2);
			{
				let e = /* @__PURE__ */ A(() => `Modes of this picture at ${V(C).site}`), t = /* @__PURE__ */ A(() => V(C).terms.map((e) => [
					e.mode,
					ia(e.name),
					e.contribution,
					e.effect ?? null,
					e.loading
				]));
				Ca(h, {
					get title() {
						return V(e);
					},
					columns: [
						"mode",
						"name",
						"contribution",
						"measured effect",
						"loading"
					],
					get rows() {
						return V(t);
					},
					most: 20,
					links: (e, t) => t < 2 && V(C) ? Q("mode", [V(C).site, V(C).terms[e]?.mode ?? 0]) : null
				});
			}
			R((e) => {
				K(r, `${V(m).words ?? ""}: ${e ?? ""} ${V(m).unit ?? ""}`), K(c, `The number at the right is the contribution in ${V(m).unit ?? ""}. The slider multiplies the mode’s share of the activation: 0 removes exactly the mode, 1 leaves it, 2 doubles it.`);
			}, [() => na(V(m).change)]), G(e, t);
		};
		q(ke, (e) => {
			V(m) && V(C) && e(Ae);
		}), D(T), D(ce), H("change", ve, () => {
			N(h, null), oe(!1);
		}), Si(ve, () => V(a), (e) => N(a, e)), H("change", be, () => {
			N(h, null), oe(!1);
		}), Fi(be, () => V(s), (e) => N(s, e)), H("change", Se, () => {
			N(h, null), oe(!1);
		}), Fi(Se, () => V(c), (e) => N(c, e)), G(e, o);
	};
	q(pe, (e) => {
		r ? e(he, -1) : e(me);
	}), G(e, fe), k();
}
Dr([
	"click",
	"change",
	"input"
]);
// src/App.svelte
var Ff = /* @__PURE__ */ U("<button class=\"skip\">Skip to the content</button>"), If = /* @__PURE__ */ U("<li><a> </a></li>"), Lf = /* @__PURE__ */ U("<h1> </h1> <!>", 1), Rf = /* @__PURE__ */ U("<h1>Not found</h1> <div class=\"note\"><p>There is no view at this address. <a>Go to the overview.</a></p></div>", 1), zf = /* @__PURE__ */ U("<div><nav class=\"main\" aria-label=\"Views\"><!> <p class=\"brand\">codeclens</p> <ul></ul></nav> <main tabindex=\"-1\"><!></main></div>");
function Bf(e, t) {
	O(t, !0);
	let n = Gi(t, "boxed", 3, !1);
	Xe("source", t.source);
	let r = /* @__PURE__ */ M(tn(Ji(n() ? "" : location.hash))), i = /* @__PURE__ */ M(0), a = /* @__PURE__ */ M(void 0), o = t.source.view("overview"), s = [
		["overview", "Overview"],
		["layers", "Layers"],
		["modes", "Modes"],
		["samples", "Samples"],
		["flow", "Flow"],
		["control", "Control"],
		["compare", "Compare"],
		["try", "Try a picture"]
	], c = /* @__PURE__ */ A(() => ({
		mode: "modes",
		sample: "samples"
	})[V(r).view] ?? V(r).view);
	function l(e, t = !0) {
		let i = Ji(e), o = i.view !== V(r).view || i.parts.join("/") !== V(r).parts.join("/");
		N(r, i, !0), o && t && (n() ? V(a)?.parentElement?.scrollTo(0, 0) : scrollTo(0, 0), V(a)?.focus({ preventScroll: !0 }));
	}
	function u(e, t = !1) {
		n() ? l(e) : t ? (history.replaceState(null, "", e), l(e, !1)) : location.hash = e;
	}
	function f(e) {
		let t = e.target.closest?.("a")?.getAttribute("href");
		n() && t?.startsWith("#/") && (e.preventDefault(), l(t));
	}
	wn(() => {
		n() || (document.title = `${s.find(([e]) => e === V(c))?.[1] ?? "codeclens"} – codeclens`);
	});
	let p = (e) => (V(i), e());
	var m = zf();
	Er("hashchange", an, () => !n() && l(location.hash));
	let g;
	var _ = P(m), v = P(_), y = (e) => {
		var t = Ff();
		H("click", t, () => V(a)?.focus()), G(e, t);
	};
	q(v, (e) => {
		n() || e(y);
	});
	var b = L(v, 4);
	Y(b, 21, () => s, J, (e, n) => {
		var r = /* @__PURE__ */ A(() => h(V(n), 2));
		let i = () => V(r)[0], a = () => V(r)[1];
		var o = Lr(), s = F(o), l = (e) => {
			var t = If(), n = P(t), r = I(n, !0);
			D(t), R((e) => {
				Z(n, "href", e), Z(n, "aria-current", V(c) === i() ? "page" : void 0), K(r, a());
			}, [() => Q(i())]), G(e, t);
		};
		q(s, (e) => {
			(i() !== "try" || t.source.live) && e(l);
		}), G(e, o);
	}), D(b), D(_);
	var x = L(_, 2);
	Qi(P(x), {
		get promise() {
			return o;
		},
		children: (e, n = d) => {
			let a = /* @__PURE__ */ A(() => n().sites.filter((e) => e.modes).map((e) => e.site)), o = /* @__PURE__ */ A(() => V(a).at(-1) ?? "");
			var l = Lr(), f = F(l), m = (e) => {
				Jd(e, { get data() {
					return n();
				} });
			}, h = (e) => {
				{
					let n = (e, t = d) => {
						ou(e, { get data() {
							return t();
						} });
					}, r = /* @__PURE__ */ A(() => p(() => t.source.view("layers")));
					Qi(e, {
						get promise() {
							return V(r);
						},
						children: n,
						$$slots: { default: !0 }
					});
				}
			}, g = (e) => {
				{
					let n = (e, t = d) => {
						sf(e, {
							get data() {
								return t();
							},
							get query() {
								return V(r).query;
							},
							go: u
						});
					}, i = /* @__PURE__ */ A(() => p(() => t.source.view("samples")));
					Qi(e, {
						get promise() {
							return V(i);
						},
						children: n,
						$$slots: { default: !0 }
					});
				}
			}, _ = (e) => {
				{
					let i = (e, t = d) => {
						ef(e, {
							get data() {
								return t();
							},
							get unit() {
								return n().unit;
							},
							get query() {
								return V(r).query;
							},
							go: u
						});
					}, a = /* @__PURE__ */ A(() => p(() => t.source.view("sample", V(r).parts[0] ?? "")));
					Qi(e, {
						get promise() {
							return V(a);
						},
						children: i,
						$$slots: { default: !0 }
					});
				}
			}, v = (e) => {
				{
					let i = (e, t = d) => {
						eu(e, {
							get data() {
								return t();
							},
							get query() {
								return V(r).query;
							},
							go: u,
							get unit() {
								return n().unit;
							}
						});
					}, a = /* @__PURE__ */ A(() => p(() => t.source.view("flow")));
					Qi(e, {
						get promise() {
							return V(a);
						},
						children: i,
						$$slots: { default: !0 }
					});
				}
			}, y = (e) => {
				{
					let n = (e, t = d) => {
						Pl(e, {
							get data() {
								return t();
							},
							get query() {
								return V(r).query;
							},
							go: u
						});
					}, i = /* @__PURE__ */ A(() => p(() => t.source.view("control")));
					Qi(e, {
						get promise() {
							return V(i);
						},
						children: n,
						$$slots: { default: !0 }
					});
				}
			}, b = (e) => {
				Pf(e, {
					get sites() {
						return V(a);
					},
					get query() {
						return V(r).query;
					}
				});
			}, x = (e) => {
				var t = Lf(), r = F(t), i = I(r, !0);
				ea(L(r, 2), {
					what: "modes",
					get command() {
						return n().missing.modes;
					}
				}), R((e) => K(i, e), [() => s.find(([e]) => e === V(c))?.[1] ?? "Not found"]), G(e, t);
			}, S = (e) => {
				{
					let n = (e, t = d) => {
						$u(e, {
							get data() {
								return t();
							},
							get sites() {
								return V(a);
							},
							get query() {
								return V(r).query;
							},
							go: u
						});
					}, i = /* @__PURE__ */ A(() => p(() => t.source.view("modes", V(r).parts[0] ?? V(o))));
					Qi(e, {
						get promise() {
							return V(i);
						},
						children: n,
						$$slots: { default: !0 }
					});
				}
			}, ee = (e) => {
				{
					let a = (e, t = d) => {
						zu(e, {
							get data() {
								return t();
							},
							get unit() {
								return n().unit;
							},
							reload: () => Qt(i)
						});
					}, o = /* @__PURE__ */ A(() => p(() => t.source.view("mode", V(r).parts[0] ?? "", V(r).parts[1] ?? "")));
					Qi(e, {
						get promise() {
							return V(o);
						},
						children: a,
						$$slots: { default: !0 }
					});
				}
			}, C = (e) => {
				{
					let n = (e, t = d) => {
						Ea(e, {
							get data() {
								return t();
							},
							get sites() {
								return V(a);
							},
							go: u
						});
					}, i = /* @__PURE__ */ A(() => p(() => t.source.view("compare", V(r).parts[0] ?? V(a).at(-2) ?? V(o), V(r).parts[1] ?? V(o))));
					Qi(e, {
						get promise() {
							return V(i);
						},
						children: n,
						$$slots: { default: !0 }
					});
				}
			}, te = (e) => {
				var t = Rf(), n = L(F(t), 2), r = P(n), i = L(P(r));
				D(r), D(n), R((e) => Z(i, "href", e), [() => Q("overview")]), G(e, t);
			};
			q(f, (e) => {
				V(r).view === "overview" ? e(m) : V(r).view === "layers" ? e(h, 1) : V(r).view === "samples" ? e(g, 2) : V(r).view === "sample" && V(r).parts.length ? e(_, 3) : V(r).view === "flow" ? e(v, 4) : V(r).view === "control" ? e(y, 5) : V(r).view === "try" ? e(b, 6) : V(a).length ? V(r).view === "modes" ? e(S, 8) : V(r).view === "mode" && V(r).parts.length > 1 ? e(ee, 9) : V(r).view === "compare" ? e(C, 10) : e(te, -1) : e(x, 7);
			}), G(e, l);
		},
		$$slots: { default: !0 }
	}), D(x), Hi(x, (e) => N(a, e), () => V(a)), D(m), R(() => g = gi(m, 1, "cl-root", null, g, { "cl-boxed": n() })), H("click", m, f), G(e, m), k();
}
Dr(["click"]);
// src/PageApp.svelte
var Vf = /* @__PURE__ */ U("<p class=\"subtitle\"><!></p>"), Hf = /* @__PURE__ */ U("<footer><p class=\"small\"><!></p></footer>"), Uf = /* @__PURE__ */ U("<div><main><h1><!></h1> <!> <!> <!> <!> <!></main></div>");
function Wf(e, t) {
	O(t, !0);
	let n = Gi(t, "boxed", 3, !1), r = /* @__PURE__ */ A(() => ed(t.data.opening, t.data.sections));
	var i = Uf();
	let a;
	var o = P(i), s = P(o);
	wl(P(s), { get text() {
		return t.data.title;
	} }), D(s);
	var c = L(s, 2), l = (e) => {
		var n = Vf();
		wl(P(n), { get text() {
			return t.data.subtitle;
		} }), D(n), G(e, n);
	};
	q(c, (e) => {
		t.data.subtitle && e(l);
	});
	var u = L(c, 2);
	Bd(u, {
		get sections() {
			return V(r).sections;
		},
		deepest: 2
	});
	var d = L(u, 2);
	Ld(d, { get blocks() {
		return V(r).opening;
	} });
	var f = L(d, 2);
	Ld(f, { get blocks() {
		return V(r).sections;
	} });
	var p = L(f, 2), m = (e) => {
		var n = Hf(), r = P(n);
		wl(P(r), { get text() {
			return t.data.footer;
		} }), D(r), D(n), G(e, n);
	};
	q(p, (e) => {
		t.data.footer && e(m);
	}), D(o), D(i), R(() => a = gi(i, 1, "cl-root page", null, a, { "cl-boxed": n() })), G(e, i), k();
}
// src/explorer.css?inline
var Gf = ".cl-root{--lightningcss-light:initial;--lightningcss-dark: ;color-scheme:light dark;--paper:#fdfcf8;--raised:#fff;--sunk:#f4f1e9;--ink:#1d1b18;--soft:#5d584f;--faint:#756f65;--rule:#dfdacd;--accent:#8c2f1b;--for:#d9540a;--against:#0a5fc4;--for-text:#a53c00;--against-text:#0a55ae;--mode:#c2410c;--contribution:#1b1b1b;--activation:#2f6fc6;--null:#8a8379;--focus:#0a5fc4;--plate:#fff;--serif:Charter, \"Bitstream Charter\", \"Sitka Text\", Cambria, \"Noto Serif\", Georgia, serif;--sans:Inter, \"Helvetica Neue\", \"Segoe UI\", Roboto, \"Noto Sans\", Arial, sans-serif;--mono:ui-monospace, \"SF Mono\", Menlo, Consolas, \"DejaVu Sans Mono\", monospace;background:var(--paper);color:var(--ink);font:15px/1.5 var(--sans);font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}@media (prefers-color-scheme:dark){.cl-root{--lightningcss-light: ;--lightningcss-dark:initial;--paper:#16171a;--raised:#1e2024;--sunk:#101114;--ink:#e8e4dc;--soft:#b1aba0;--faint:#98928a;--rule:#34363b;--accent:#ef9d85;--for:#f08a3c;--against:#5aa2f5;--for-text:#f6a266;--against-text:#82b8f8;--mode:#f08a4b;--contribution:#e8e4dc;--activation:#6ea8f0;--null:#87817a;--focus:#82b8f8;--plate:#26282d}}.cl-root *,.cl-root :before{box-sizing:border-box}.cl-root{grid-template-columns:13.5rem minmax(0,1fr);min-height:100vh;display:grid}.cl-root.cl-boxed{border:1px solid var(--rule);border-radius:8px;height:720px;min-height:0;overflow:auto}.cl-root h1,.cl-root h2,.cl-root h3{font-family:var(--serif);text-wrap:balance;overflow-wrap:anywhere;font-weight:600;line-height:1.22}.cl-root h1{letter-spacing:-.01em;margin:0 0 .5rem;font-size:clamp(1.55rem,1.2rem + 1.4vw,2.15rem);font-weight:500}.cl-root h2{margin:2.6rem 0 .7rem;font-size:1.22rem}.cl-root h3{margin:0 0 .3rem;font-size:1rem}.cl-root p{text-wrap:pretty;max-width:42rem;margin:0 0 .8rem}.cl-root a{color:inherit;-webkit-text-decoration-color:var(--faint);text-decoration-color:var(--faint);text-underline-offset:.2em}.cl-root a:hover{color:var(--accent)}.cl-root code{font:.88em var(--mono);overflow-wrap:anywhere}.cl-root :focus-visible{outline:2px solid var(--focus);outline-offset:2px;border-radius:3px}.cl-root .lead{font:1.08rem/1.55 var(--serif);max-width:44rem;color:var(--ink)}.cl-root .soft{color:var(--soft)}.cl-root .small{color:var(--soft);font-size:.86rem}.cl-root .for{color:var(--for-text)}.cl-root .against{color:var(--against-text)}.cl-root ul.findings{max-width:46rem;font-family:var(--serif);padding-left:1.1rem;font-size:1.02rem}.cl-root ul.findings li{text-wrap:pretty;margin-bottom:.5rem}.cl-root ul.findings li::marker{color:var(--faint)}.cl-root .skip{position:absolute;left:-999px}.cl-root .skip:focus{background:var(--raised);z-index:9;padding:.5rem .8rem;top:.6rem;left:.6rem}.cl-root nav.main{border-right:1px solid var(--rule);height:100vh;padding:1.6rem .8rem;position:sticky;top:0;overflow-y:auto}.cl-root.cl-boxed nav.main{height:718px}.cl-root nav.main .brand{font:600 1.05rem var(--serif);margin:0;padding:0 .7rem 1rem}.cl-root nav.main ul{margin:0;padding:0;list-style:none}.cl-root nav.main a{color:var(--soft);border-radius:6px;padding:.42rem .7rem;text-decoration:none;display:block}.cl-root nav.main a:hover{background:var(--sunk);color:var(--ink)}.cl-root nav.main a[aria-current=page]{background:var(--sunk);color:var(--ink);font-weight:600}.cl-root main{outline:none;min-width:0;max-width:78rem;padding:clamp(1.2rem,3vw,2.6rem) clamp(1rem,3.5vw,3.2rem) 5rem}.cl-root .kicker{letter-spacing:.06em;text-transform:uppercase;color:var(--faint);margin:0 0 .35rem;font-size:.8rem}.cl-root button,.cl-root select,.cl-root input:not([type=range]):not([type=checkbox]),.cl-root textarea{font:inherit;color:inherit;background:var(--raised);border:1px solid var(--rule);border-radius:6px;padding:.34rem .7rem}.cl-root button{cursor:pointer}.cl-root button:hover:not(:disabled){border-color:var(--faint)}.cl-root button.primary{background:var(--ink);color:var(--paper);border-color:var(--ink)}.cl-root button.plain{color:var(--soft);background:0 0;border:0;padding:.15rem .35rem;font-size:.82rem}.cl-root button.plain:hover{color:var(--ink);text-decoration:underline}.cl-root button:disabled{opacity:.55;cursor:default}.cl-root textarea{width:100%;min-height:4.5rem}.cl-root input[type=range],.cl-root input[type=checkbox]{accent-color:var(--accent)}.cl-root .controls{flex-wrap:wrap;align-items:end;gap:.6rem 1rem;margin:.9rem 0 1.1rem;display:flex}.cl-root .controls label{color:var(--soft);gap:.18rem;font-size:.8rem;display:grid}.cl-root .controls label>*{color:var(--ink);font-size:.92rem}.cl-root .controls label.row{align-items:center;gap:.4rem;padding-bottom:.35rem;display:flex}.cl-root .controls select,.cl-root .controls input{max-width:15rem}.cl-root .charts{grid-template-columns:repeat(auto-fit,minmax(min(19rem,100%),1fr));gap:1.8rem 2.2rem;display:grid}.cl-root .charts>figure{max-width:36rem}.cl-root figure{break-inside:avoid;min-width:0;margin:0}.cl-root figure .head{justify-content:space-between;align-items:baseline;gap:.5rem;display:flex}.cl-root figure svg{width:100%;height:auto;display:block;overflow:visible}.cl-root svg text{font-family:var(--sans);fill:var(--soft);font-size:11.5px}.cl-root svg text.strong{fill:var(--ink)}.cl-root figcaption{color:var(--soft);max-width:44rem;margin-top:.35rem;font-size:.84rem}.cl-root .legend{color:var(--soft);flex-wrap:wrap;gap:.1rem .9rem;margin:.2rem 0 0;padding:0;font-size:.8rem;list-style:none;display:flex}.cl-root .legend span{vertical-align:middle;border-top:2.5px solid;width:1.1em;height:0;margin-right:.35em;display:inline-block}.cl-root .scroll{max-width:100%;overflow-x:auto}.cl-root table{border-collapse:collapse;border-block:1.5px solid var(--ink);font-size:.88rem}.cl-root th{text-align:left;border-bottom:1px solid var(--rule);vertical-align:bottom;padding:.35rem .9rem .35rem 0;font-weight:600}.cl-root td{border-bottom:1px solid var(--rule);vertical-align:top;padding:.28rem .9rem .28rem 0}.cl-root tr:last-child td{border-bottom:0}.cl-root td.n,.cl-root th.n{text-align:right}.cl-root th button{text-align:inherit;background:0 0;border:0;padding:0;font-weight:600}.cl-root dl.facts{grid-template-columns:max-content minmax(0,1fr);gap:.25rem 1.1rem;margin:0;font-size:.88rem;display:grid}.cl-root dl.facts dt{color:var(--soft)}.cl-root dl.facts dd{overflow-wrap:anywhere;margin:0}.cl-root .numbers{flex-wrap:wrap;gap:1rem 2rem;margin:1rem 0 .4rem;padding:0;list-style:none;display:flex}.cl-root .numbers li{min-width:5.5rem}.cl-root .numbers b{font:500 1.3rem/1.2 var(--serif);display:block}.cl-root .numbers span{color:var(--soft);font-size:.8rem}.cl-root .note{background:var(--sunk);border-radius:8px;max-width:46rem;margin:1rem 0;padding:.9rem 1.1rem}.cl-root .note p:last-child{margin-bottom:0}.cl-root .note pre{white-space:pre-wrap;overflow-wrap:anywhere;font:.82rem/1.5 var(--mono);margin:.4rem 0 0}.cl-root .error{border-left:3px solid var(--accent)}.cl-root .grid-box{border-block:1px solid var(--rule);height:min(72vh,46rem);position:relative;overflow:hidden auto}.cl-root .card{padding:.45rem;position:absolute}.cl-root .card>a{border:1px solid var(--rule);background:var(--raised);border-radius:8px;height:100%;padding:.5rem;text-decoration:none;display:block;overflow:hidden}.cl-root .card>a:hover{border-color:var(--faint);color:inherit}.cl-root .card .faces{grid-template-columns:repeat(4,1fr);gap:3px;display:grid}.cl-root .card .title{white-space:nowrap;text-overflow:ellipsis;margin-top:.4rem;font-size:.88rem;font-weight:600;overflow:hidden}.cl-root .card .title.none{color:var(--soft);font-style:italic;font-weight:400}.cl-root .card .meta{color:var(--soft);white-space:nowrap;justify-content:space-between;gap:.4rem;font-size:.76rem;display:flex}.cl-root .picture{aspect-ratio:1;background:var(--sunk);border-radius:4px;display:block;position:relative;overflow:hidden}.cl-root .picture img,.cl-root .picture canvas{object-fit:cover;width:100%;height:100%;position:absolute;inset:0}.cl-root .picture img.coarse{image-rendering:pixelated}.cl-root .picture .words{text-align:center;color:var(--soft);overflow-wrap:anywhere;place-items:center;padding:.2rem;font-size:.72rem;display:grid;position:absolute;inset:0;overflow:hidden}.cl-root .gallery{grid-template-columns:repeat(auto-fill,minmax(8.2rem,1fr));gap:.9rem;margin:0;padding:0;list-style:none;display:grid}.cl-root .gallery .about{color:var(--soft);overflow-wrap:anywhere;margin-top:.25rem;font-size:.78rem}.cl-root .gallery a{text-decoration:none;display:block}.cl-root .try>div>.picture{max-width:22rem}.cl-root .columns{grid-template-columns:repeat(auto-fit,minmax(min(22rem,100%),1fr));gap:1rem 2.6rem;display:grid}.cl-root .columns>section{min-width:0}.cl-root .try{grid-template-columns:minmax(15rem,22rem) minmax(0,1fr);align-items:start;gap:1.5rem 2.5rem;display:grid}.cl-root .drop{border:1.5px dashed var(--faint);text-align:center;background:var(--raised);border-radius:10px;padding:1.5rem 1.2rem}.cl-root .drop.over{background:var(--sunk);border-color:var(--ink)}.cl-root .probabilities{grid-template-columns:minmax(5rem,11rem) minmax(0,1fr) 3.8rem;align-items:center;gap:.3rem .6rem;margin:.4rem 0;font-size:.86rem;display:grid}.cl-root .probabilities .bar{background:var(--sunk);border-radius:3px;height:1.05rem;position:relative}.cl-root .probabilities .bar i{background:var(--null);opacity:.45;border-radius:3px;position:absolute;inset:0 auto 0 0}.cl-root .probabilities .bar b{background:var(--mode);border-radius:2px;position:absolute;inset:3px auto 3px 0}.cl-root .switches{gap:.2rem;display:grid}.cl-root .switch{border-bottom:1px solid var(--rule);grid-template-columns:2.6rem minmax(0,1fr) minmax(6rem,11rem) 2.9rem 4.2rem;align-items:center;gap:.6rem;padding:.22rem 0;font-size:.87rem;display:grid}.cl-root .switch .picture{width:2.6rem}.cl-root progress{width:100%;height:.6rem;accent-color:var(--accent)}.cl-root .busy{color:var(--soft);padding:2rem 0}.cl-root .subtitle{font:italic 1.05rem/1.5 var(--serif);color:var(--soft)}.cl-root .place{color:var(--accent);margin-right:.25em;font-weight:500}.cl-root .contents ol{columns:2 16rem;border-block:1px solid var(--rule);margin:1.2rem 0;padding:.8rem 0;font-size:.88rem;list-style:none}.cl-root .contents li{break-inside:avoid;padding:.14rem 0}.cl-root .contents a{text-decoration:none}.cl-root .contents a:hover{text-decoration:underline}.cl-root .told>h2{border-top:1px solid var(--rule);margin-top:3rem;padding-top:.9rem}.cl-root .told>h3{margin-top:2rem;font-size:1.08rem}.cl-root .told figure{margin:1.3rem 0 1.5rem}.cl-root .told dl.facts{margin:1rem 0}.cl-root .marked .text{border-top:1px solid var(--rule);grid-template-columns:minmax(7rem,12rem) 1fr;gap:0 1rem;padding-block:.35rem;display:grid}.cl-root .marked .text p{color:var(--soft);overflow-wrap:anywhere;min-width:0;margin:0;font-size:.84rem;line-height:1.7}.cl-root .marked .text .tokens{color:var(--ink);white-space:pre-wrap}.cl-root .tokens span{background:color-mix(in srgb, var(--mark) var(--strength), transparent);border-radius:2px;padding:.08em .12em}.cl-root .tokens .for{--mark:var(--for)}.cl-root .tokens .against{--mark:var(--against)}@media (max-width:36rem){.cl-root .marked .text{grid-template-columns:1fr}}.cl-root figure.image img{max-width:100%;height:auto;display:block}.cl-root img.crisp{image-rendering:pixelated}.cl-root figure.table figcaption{margin:0 0 .5rem}.cl-root .save{color:var(--soft);white-space:nowrap;font-size:.82rem}.cl-root .mode-row{break-inside:avoid;margin:1.3rem 0}.cl-root .mode-row h3,.cl-root .mode-row h4{font:600 .95rem var(--sans);margin:0}.cl-root .mode-row .small{margin:.15rem 0 .4rem}.cl-root .mode-row .gallery,.cl-root .gallery.few{grid-template-columns:repeat(auto-fill,minmax(6.4rem,8rem))}.cl-root .sum{grid-template-columns:minmax(7rem,15rem) minmax(0,1fr);align-items:start;gap:1.4rem 2rem;margin:1rem 0;display:grid}.cl-root .sum .bars:only-child{grid-column:1/-1}.cl-root ul.terms{grid-template-columns:repeat(auto-fit,minmax(min(24rem,100%),1fr));gap:1rem 2rem;margin:1rem 0;padding:0;list-style:none;display:grid}.cl-root ul.terms li{break-inside:avoid;grid-template-columns:auto minmax(0,1fr);gap:.9rem;display:grid}.cl-root ul.terms .looks{gap:.4rem;display:flex}.cl-root ul.terms .looks .picture{width:6rem}.cl-root ul.terms .looks .picture+.picture{align-self:end;width:4rem}.cl-root ul.terms .words>*{display:block}.cl-root ul.terms svg{width:100%;max-width:15rem;height:auto;margin:.2rem 0}.cl-root.page{display:block}.cl-root.page main{max-width:64rem;margin-inline:auto}.cl-root footer{border-top:1px solid var(--rule);margin-top:3rem;padding-top:.8rem}@media (prefers-color-scheme:dark){.cl-root img.plate{background:#f4f2ec;border-radius:4px;padding:.6rem}}@media (max-width:760px){.cl-root{display:block}.cl-root nav.main{border-right:0;border-bottom:1px solid var(--rule);height:auto;padding:.7rem .6rem .5rem;position:static;overflow-x:auto}.cl-root nav.main .brand{display:none}.cl-root nav.main ul{gap:.1rem;display:flex}.cl-root nav.main a{white-space:nowrap;padding:.35rem .6rem}.cl-root .try,.cl-root .sum{grid-template-columns:minmax(0,1fr)}.cl-root .sum .seen{max-width:14rem}.cl-root ul.terms .looks .picture{width:4.6rem}.cl-root .switch{grid-template-columns:2.2rem minmax(0,1fr) 4rem}.cl-root .switch input{grid-column:2}.cl-root .switch .factor{grid-column:3}.cl-root .switch .effect{display:none}}@media print{.cl-root{--paper:#fff;--raised:#fff;--sunk:#f4f4f4;--ink:#000;--soft:#333;--faint:#666;--rule:#ccc;--accent:#8c2f1b;--for:#d9540a;--against:#0a5fc4;--for-text:#a53c00;--against-text:#0a55ae;--mode:#c2410c;--contribution:#1b1b1b;--activation:#2f6fc6;--null:#8a8379;-webkit-print-color-adjust:exact;-moz-print-color-adjust:exact;print-color-adjust:exact;font-size:10pt;display:block}.cl-root nav,.cl-root .controls,.cl-root button,.cl-root .skip,.cl-root .screen,.cl-root .save{display:none!important}.cl-root main{max-width:none;padding:0}.cl-root .scroll{overflow:visible}.cl-root .charts{grid-template-columns:repeat(2,minmax(0,1fr))}.cl-root th,.cl-root td{padding-right:.5rem;font-size:8.5pt}.cl-root .grid-box{height:auto;overflow:visible}.cl-root h2,.cl-root h3,.cl-root h4{break-after:avoid}.cl-root tr,.cl-root li{break-inside:avoid}.cl-root img.plate{background:0 0;padding:0}}@media (prefers-reduced-motion:no-preference){.cl-root .bar b,.cl-root .bar i{transition:width .12s}}", Kf = (e, t) => [e, ...t.map((e) => encodeURIComponent(String(e)))].join("/"), qf = class extends Error {};
async function Jf(e) {
	let t;
	try {
		t = await e.json();
	} catch {
		throw new qf("The explorer gave no answer; is it still running?");
	}
	if (!e.ok) throw new qf(t.error ?? `The explorer answered ${e.status}.`);
	return t;
}
var Yf = class {
	found = /* @__PURE__ */ new Map();
	get(e, t) {
		let n = this.found.get(e);
		return n || (n = t(), this.found.set(e, n), n.catch(() => this.found.delete(e))), n;
	}
	forget() {
		this.found.clear();
	}
}, Xf = class e {
	about;
	live;
	note;
	kept = new Yf();
	constructor(e) {
		this.about = e, this.live = e.live ? new $f() : null, this.note = async (e, t, n) => {
			await Qf("PUT", "api/notes", {
				site: e,
				mode: t,
				...n
			}), this.kept.forget();
		};
	}
	static async open() {
		return new e(await Jf(await Zf("api/about")));
	}
	view(e, ...t) {
		let n = Kf(e, t);
		return this.kept.get(n, async () => Jf(await Zf(`api/view/${n}`)));
	}
	picture(e, t) {
		return this.about.live ? `api/picture/${e}?side=${t}` : null;
	}
	async maps(e, t) {
		if (!this.about.live) return null;
		let n = `api/maps/${encodeURIComponent(e)}/${t}`;
		return this.kept.get(n, async () => Jf(await Zf(n)));
	}
};
async function Zf(e, t) {
	try {
		return await fetch(e, t);
	} catch {
		throw new qf("The explorer cannot be reached; is codeclens explore still running?");
	}
}
var Qf = async (e, t, n) => Jf(await Zf(t, {
	method: e,
	headers: { "content-type": "application/json" },
	body: JSON.stringify(n)
})), $f = class {
	async upload(e) {
		return (await Jf(await Zf("api/upload", {
			method: "POST",
			headers: { "content-type": "application/octet-stream" },
			body: e
		}))).picture;
	}
	async explain(e) {
		return (await Qf("POST", "api/explain", e)).job;
	}
	async job(e) {
		return Jf(await Zf(`api/jobs/${e}`));
	}
	async cancel(e) {
		await Jf(await Zf(`api/jobs/${e}`, { method: "DELETE" }));
	}
	switch(e, t, n) {
		return Qf("POST", "api/switch", {
			job: e,
			site: t,
			factors: n
		});
	}
}, ep = class {
	data;
	about = {
		live: !1,
		reason: "This file holds the results; codeclens explore shows the run with its network, live.",
		uploads: !1,
		outputs: null
	};
	live = null;
	note = null;
	kept = new Yf();
	constructor(e) {
		this.data = e;
	}
	view(e, ...t) {
		let n = Kf(e, t);
		return this.kept.get(n, async () => {
			let e = this.data.views[n];
			if (!e) throw new qf("This page is not part of the report; codeclens explore shows it.");
			return e;
		});
	}
	picture(e) {
		return this.data.pictures[e] ?? null;
	}
	async maps(e, t) {
		return this.data.maps[Kf(e, [t])] ?? null;
	}
}, tp = class {
	model;
	about;
	live = null;
	note;
	kept = new Yf();
	waiting = /* @__PURE__ */ new Map();
	count = 0;
	constructor(e) {
		this.model = e, this.about = e.get("about"), e.on("msg:custom", (e) => {
			let t = this.waiting.get(e?.id);
			t && (this.waiting.delete(e.id), e.error ? t.failed(new qf(e.error)) : t.done(e.found));
		}), this.note = async (e, t, n) => {
			await this.ask("note", {
				site: e,
				mode: t,
				...n
			}), this.kept.forget();
		};
	}
	ask(e, t) {
		let n = ++this.count;
		return new Promise((r, i) => {
			this.waiting.set(n, {
				done: r,
				failed: i
			}), this.model.send({
				id: n,
				kind: e,
				...t
			});
		});
	}
	view(e, ...t) {
		let n = Kf(e, t);
		return this.kept.get(n, () => this.ask("view", { address: n }));
	}
	picture() {
		return null;
	}
	async maps() {
		return null;
	}
};
// src/main.ts
function np(e, t) {
	let n = document.createElement("style");
	n.textContent = t ? Gf : `body { margin: 0; } ${Gf}`, e.append(n);
}
function rp(e, t, n) {
	return np(e, n), Hr(Bf, {
		target: e,
		props: {
			source: t,
			boxed: n
		}
	});
}
function ip(e, t, n) {
	return np(e, n), Hr(Wf, {
		target: e,
		props: {
			data: t,
			boxed: n
		}
	});
}
async function ap(e) {
	document.documentElement.lang = "en";
	let t = document.getElementById("codeclens-data")?.textContent;
	try {
		let n = t ? JSON.parse(t) : null;
		n?.document ? ip(e, n.document, !1) : rp(e, n ? new ep(n) : await Xf.open(), !1);
	} catch (t) {
		e.textContent = t.message;
	}
}
var op = typeof document > "u" ? null : document.getElementById("codeclens-explorer");
op && ap(op);
var sp = { render({ model: e, el: t }) {
	let n = t.attachShadow({ mode: "open" }), r = e.get("document") ?? {}, i = r.title === void 0 ? rp(n, new tp(e), !0) : ip(n, r, !0);
	return () => void Kr(i);
} };
export { sp as default };

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
var g = 1024, _ = 2048, v = 4096, y = 8192, b = 16384, x = 32768, S = 1 << 25, ee = 65536, C = 1 << 19, te = 1 << 20, w = 1 << 25, ne = 1 << 21, re = 1 << 22, ie = 1 << 23, ae = Symbol("$state"), oe = Symbol("component"), se = Symbol("legacy props"), ce = Symbol(""), le = Symbol("attributes"), ue = Symbol("class"), de = Symbol("style"), fe = Symbol("text"), pe = Symbol("form reset"), me = new class extends Error {
	name = "StaleReactionError";
	message = "The reaction that called `getAbortSignal()` was re-run or destroyed";
}(), he = !!globalThis.document?.contentType && /* @__PURE__ */ globalThis.document.contentType.includes("xml"), ge = {}, T = Symbol("uninitialized"), _e = "http://www.w3.org/1999/xhtml", ve = "http://www.w3.org/2000/svg";
function ye() {
	console.warn("https://svelte.dev/e/derived_inert");
}
function be(e) {
	console.warn("https://svelte.dev/e/hydration_mismatch");
}
function xe() {
	console.warn("https://svelte.dev/e/select_multiple_invalid_value");
}
function Se() {
	console.warn("https://svelte.dev/e/svelte_boundary_reset_noop");
}
// node_modules/svelte/src/internal/client/dom/hydration.js
var E = !1;
function Ce(e) {
	E = e;
}
var D;
function we(e) {
	if (e === null) throw be(), ge;
	return D = e;
}
function Te() {
	return we(/* @__PURE__ */ dn(D));
}
function O(e) {
	if (E) {
		if (/* @__PURE__ */ dn(D) !== null) throw be(), ge;
		D = e;
	}
}
function Ee(e = 1) {
	if (E) {
		for (var t = e, n = D; t--;) n = /* @__PURE__ */ dn(n);
		D = n;
	}
}
function De(e = !0) {
	for (var t = 0, n = D;;) {
		if (n.nodeType === 8) {
			var r = n.data;
			if (r === "]") {
				if (t === 0) return n;
				--t;
			} else (r === "[" || r === "[!" || r[0] === "[" && !isNaN(Number(r.slice(1)))) && (t += 1);
		}
		var i = /* @__PURE__ */ dn(n);
		e && n.remove(), n = i;
	}
}
function Oe(e) {
	if (!e || e.nodeType !== 8) throw be(), ge;
	return e.data;
}
// node_modules/svelte/src/internal/client/reactivity/equality.js
function ke(e) {
	return e === this.v;
}
function Ae(e, t) {
	return e == e ? e !== t || typeof e == "object" && !!e || typeof e == "function" : t == t;
}
function je(e) {
	return !Ae(e, this.v);
}
// node_modules/svelte/src/internal/shared/errors.js
function Me(e) {
	throw Error("https://svelte.dev/e/lifecycle_outside_component");
}
// node_modules/svelte/src/internal/client/errors.js
function Ne() {
	throw Error("https://svelte.dev/e/async_derived_orphan");
}
function Pe(e, t, n) {
	throw Error("https://svelte.dev/e/each_key_duplicate");
}
function Fe(e) {
	throw Error("https://svelte.dev/e/effect_in_teardown");
}
function Ie() {
	throw Error("https://svelte.dev/e/effect_in_unowned_derived");
}
function Le(e) {
	throw Error("https://svelte.dev/e/effect_orphan");
}
function Re() {
	throw Error("https://svelte.dev/e/effect_update_depth_exceeded");
}
function ze(e) {
	throw Error("https://svelte.dev/e/props_invalid_value");
}
function Be() {
	throw Error("https://svelte.dev/e/state_descriptors_fixed");
}
function Ve() {
	throw Error("https://svelte.dev/e/state_prototype_fixed");
}
function He() {
	throw Error("https://svelte.dev/e/state_unsafe_mutation");
}
function Ue() {
	throw Error("https://svelte.dev/e/svelte_boundary_reset_onerror");
}
// node_modules/svelte/src/internal/shared/context.js
function We(e) {
	let t = e.p;
	for (; t !== null && t.c === null;) t = t.p;
	return t?.c ?? null;
}
function Ge(e, t) {
	return e === null && Me(t), e.c ??= new Map(We(e) || void 0);
}
// node_modules/svelte/src/internal/client/context.js
var Ke = null;
function qe(e) {
	Ke = e;
}
function Je(e) {
	return Ge(Ke, "getContext").get(e);
}
function Ye(e, t) {
	return Ge(Ke, "setContext").set(e, t), t;
}
function k(e, t = !1, n) {
	Ke = {
		p: Ke,
		i: !1,
		c: null,
		e: null,
		s: e,
		x: null,
		r: V,
		l: null
	};
}
function A(e) {
	var t = Ke, n = t.e;
	if (n !== null) {
		t.e = null;
		for (var r of n) wn(r);
	}
	return e !== void 0 && (t.x = e), t.i = !0, Ke = t.p, Xe(e);
}
function Xe(e = {}) {
	return i(e, oe, { value: !0 }), e;
}
function Ze() {
	return !0;
}
// node_modules/svelte/src/internal/client/dom/task.js
var Qe = [];
function $e() {
	var e = Qe;
	Qe = [], p(e);
}
function et(e) {
	if (Qe.length === 0 && !Ot) {
		var t = Qe;
		queueMicrotask(() => {
			t === Qe && $e();
		});
	}
	Qe.push(e);
}
function tt() {
	for (; Qe.length > 0;) $e();
}
// node_modules/svelte/src/internal/client/reactivity/status.js
var nt = ~(_ | v | g);
function rt(e, t) {
	e.f = e.f & nt | t;
}
function it(e) {
	e.f & 512 || e.deps === null ? rt(e, g) : rt(e, v);
}
// node_modules/svelte/src/internal/client/reactivity/utils.js
function at(e, t) {
	e.f & 2048 ? t.set(e, _) : e.f & 4096 && t.get(e) !== 2048 && t.set(e, v), rt(e, g);
}
// node_modules/svelte/src/internal/client/dom/elements/misc.js
function ot(e) {
	E && /* @__PURE__ */ un(e) !== null && fn(e);
}
var st = !1;
function ct() {
	st || (st = !0, document.addEventListener("reset", (e) => {
		Promise.resolve().then(() => {
			if (!e.defaultPrevented) for (let t of e.target.elements) t[pe]?.();
		});
	}, { capture: !0 }));
}
// node_modules/svelte/src/internal/client/dom/elements/bindings/shared.js
function lt(e) {
	var t = B, n = V;
	Kn(null), qn(null);
	try {
		return e();
	} finally {
		Kn(t), qn(n);
	}
}
function ut(e, t, n, r = n) {
	e.addEventListener(t, () => lt(n));
	let i = e[pe];
	e[pe] = i ? () => {
		i(), r(!0);
	} : () => r(!0), ct();
}
// node_modules/svelte/src/internal/client/reactivity/async.js
function dt(e, t, n, r) {
	let i = Ze() ? ht : vt;
	var a = e.filter((e) => !e.settled), o = t.map(i);
	if (n.length === 0 && a.length === 0) {
		r(o);
		return;
	}
	var s = V, c = ft(), l = a.length === 1 ? a[0].promise : a.length > 1 ? Promise.all(a.map((e) => e.promise)) : null;
	function u(e) {
		if (!(s.f & 16384)) {
			c();
			try {
				r([...o, ...e]);
			} catch (e) {
				_n(e, s);
			}
			pt();
		}
	}
	var d = mt();
	if (n.length === 0) {
		l.then(() => u([])).finally(d);
		return;
	}
	function f() {
		Promise.all(n.map((e) => /* @__PURE__ */ _t(e))).then(u).catch((e) => _n(e, s)).finally(d);
	}
	l ? l.then(() => {
		s.f & 16384 ? d() : (c(), f(), pt());
	}) : f();
}
function ft() {
	var e = V, t = B, n = Ke, r = M;
	return function(i = !0) {
		qn(e), Kn(t), qe(n), i && !(e.f & 16384) && (r?.activate(), r?.apply());
	};
}
function pt(e = !0) {
	qn(null), Kn(null), qe(null), e && M?.deactivate();
}
function mt() {
	var e = V, t = e.b, n = M, r = !!t?.is_rendered();
	return t?.update_pending_count(1, n), n.increment(r, e), () => {
		t?.update_pending_count(-1, n), n.decrement(r, e);
	};
}
/*#__NO_SIDE_EFFECTS__*/
function ht(e) {
	var t = 2 | _;
	return V !== null && (V.f |= C), {
		ctx: Ke,
		deps: null,
		effects: null,
		equals: ke,
		f: t,
		fn: e,
		reactions: null,
		rv: 0,
		v: T,
		wv: 0,
		parent: V,
		ac: null
	};
}
var gt = Symbol("obsolete");
/*#__NO_SIDE_EFFECTS__*/
function _t(e, t, n) {
	let r = V;
	r === null && Ne();
	var i = void 0, a = Gt(T), o = !B, s = /* @__PURE__ */ new Set();
	return Dn(() => {
		var t = V, n = m();
		i = n.promise;
		try {
			Promise.resolve(e()).then(n.resolve, (e) => {
				e !== me && n.reject(e);
			}).finally(pt);
		} catch (e) {
			n.reject(e), pt();
		}
		var c = M;
		if (o) {
			if (t.f & 32768) var l = mt();
			if (r.b?.is_rendered()) c.async_deriveds.get(t)?.reject(gt);
			else for (let e of s.values()) e.reject(gt);
			s.add(n), c.async_deriveds.set(t, n);
		}
		let u = (e, t = void 0) => {
			l?.(), s.delete(n), t !== gt && (c.activate(), t ? (a.f |= ie, Yt(a, t)) : (a.f & 8388608 && (a.f ^= ie), Yt(a, e)), c.deactivate());
		};
		n.promise.then(u, (e) => u(null, e || "unknown"));
	}), Sn(() => {
		for (let e of s) e.reject(gt);
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
function j(e) {
	let t = /* @__PURE__ */ ht(e);
	return Yn(t), t;
}
/*#__NO_SIDE_EFFECTS__*/
function vt(e) {
	let t = /* @__PURE__ */ ht(e);
	return t.equals = je, t;
}
function yt(e) {
	var t = e.effects;
	if (t !== null) {
		e.effects = null;
		for (var n = 0; n < t.length; n += 1) Pn(t[n]);
	}
}
function bt(e) {
	var t, n = V, r = e.parent;
	if (!Un && r !== null && e.v !== T && r.f & 24576) return ye(), e.v;
	qn(r);
	try {
		yt(e), t = sr(e);
	} finally {
		qn(n);
	}
	return t;
}
function xt(e) {
	var t = bt(e);
	!e.equals(t) && (e.wv = ir(), (!M?.is_fork || e.deps === null) && (M === null ? e.v = t : (M.capture(e, t, !0), Tt?.capture(e, t, !0)), e.deps === null)) ? rt(e, g) : Un || (Et === null ? it(e) : (xn() || M?.is_fork) && Et.set(e, t));
}
function St(e) {
	if (e.effects !== null) for (let t of e.effects) (t.teardown || t.ac) && (t.teardown?.(), t.ac !== null && lt(() => {
		t.ac.abort(me), t.ac = null;
	}), t.fn !== null && (t.teardown = d), ur(t, 0), Mn(t));
}
function Ct(e) {
	if (e.effects !== null) for (let t of e.effects) t.teardown && t.fn !== null && dr(t);
}
// node_modules/svelte/src/internal/client/reactivity/batch.js
var wt = null, M = null, Tt = null, Et = null, Dt = null, Ot = !1, kt = !1, At = null, jt = null, Mt = 0, Nt = 1, Pt = class e {
	id = Nt++;
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
		wt === null ? wt = this : (wt.next = this, this.prev = wt), wt = this;
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
			for (var r of n.d) rt(r, _), t(r);
			for (r of n.m) rt(r, v), t(r);
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
		for (let [e, t] of this.#s) rt(e, t), this.schedule(e);
		this.apply();
		for (var t = At = [], n = [], r = jt = []; this.#a.length > 0;) {
			Mt++ > 1e3 && (this.#b(), It());
			for (let e of this.#p()) try {
				this.#h(e, t, n);
			} catch (t) {
				throw Vt(e), this.#d() || this.discard(), t;
			}
		}
		if (M = null, r.length > 0) {
			var i = e.ensure();
			for (let e of r) i.schedule(e);
		}
		if (At = null, jt = null, this.#d()) {
			this.#y(n), this.#y(t);
			for (let [e, t] of this.#c) Bt(e, t);
			r.length > 0 && M.#m();
			return;
		}
		let a = this.#g();
		if (a) this.#y(n), this.#y(t), a.#v(this);
		else {
			this.#s.clear();
			for (let e of this.#e) e(this);
			this.#e.clear(), Tt = this, Rt(n), Rt(t), Tt = null, this.#i?.resolve();
			var o = M;
			this.#n === 0 && (this.#a.length === 0 || o !== null) && this.#b(), o !== null && (Ut.clear(), o.#m());
		}
	}
	#h(e, t, n) {
		e.f ^= g;
		for (var r = e.first; r !== null;) {
			var i = r.f, a = !!(i & 96);
			if (!(a && i & 1024 || i & 8192 || this.#c.has(r)) && r.fn !== null) {
				a ? r.f ^= g : i & 4 ? t.push(r) : ar(r) && (i & 16 && this.add_dirty_reaction(r, v), dr(r));
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
					r & 4194320 && !this.async_deriveds.has(i) && (this.#s.delete(i), rt(i, _), this.schedule(i));
				}
			}
		};
		for (let e of this.current.keys()) t(e);
		this.oncommit(() => e.discard()), e.#b(), M = this, this.#m();
	}
	#y(e) {
		for (var t = 0; t < e.length; t += 1) at(e[t], this.#s);
	}
	capture(e, t, n = !1) {
		e.v !== T && !this.previous.has(e) && this.previous.set(e, e.v), e.f & 8388608 || (this.current.set(e, [t, n]), Et?.set(e, t)), this.is_fork || (e.v = t);
	}
	activate() {
		M = this;
	}
	deactivate() {
		M = null, Et = null;
	}
	flush() {
		try {
			kt = !0, M = this, this.#m();
		} finally {
			Mt = 0, Dt = null, At = null, jt = null, kt = !1, M = null, Et = null, Ut.clear();
		}
	}
	discard() {
		for (let e of this.#t) e(this);
		this.#t.clear();
		for (let e of this.async_deriveds.values()) e.reject(gt);
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
		this.#u || (this.#u = !0, et(() => {
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
		if (M === null) {
			let t = M = new e();
			!kt && !Ot && et(() => {
				t.started || t.flush();
			});
		}
		return M;
	}
	apply() {
		Et = null;
	}
	schedule(e) {
		Dt = e, e.b?.is_pending && e.f & 16777228 && !(e.f & 32768) ? e.b.defer_effect(e) : this.#a.push(e);
	}
	#b() {
		if (this.linked) {
			var e = this.prev, t = this.next;
			e === null || (e.next = t), t === null ? wt = e : t.prev = e, this.linked = !1;
		}
	}
};
function Ft(e) {
	var t = Ot, n = Tt;
	Tt = null, Ot = !0;
	try {
		var r;
		for (e && (Ft(), r = e());;) {
			if (tt(), M === null) return r;
			M.flush();
		}
	} finally {
		Ot = t, Tt = n;
	}
}
function It() {
	try {
		Re();
	} catch (e) {
		_n(e, Dt);
	}
}
var Lt = null;
function Rt(e) {
	var t = e.length;
	if (t !== 0) {
		for (var n = 0; n < t;) {
			var r = e[n++];
			if (!(r.f & 24576) && ar(r) && (Lt = /* @__PURE__ */ new Set(), dr(r), r.deps === null && r.first === null && r.nodes === null && r.teardown === null && r.ac === null && In(r), Lt?.size > 0)) {
				Ut.clear();
				for (let e of Lt) {
					if (e.f & 24576) continue;
					let t = [e], n = e.parent;
					for (; n !== null;) Lt.has(n) && (Lt.delete(n), t.push(n)), n = n.parent;
					for (let e = t.length - 1; e >= 0; e--) {
						let n = t[e];
						n.f & 24576 || dr(n);
					}
				}
				Lt.clear();
			}
		}
		Lt = null;
	}
}
function zt(e) {
	M.schedule(e);
}
function Bt(e, t) {
	if (!(e.f & 32 && e.f & 1024)) {
		e.f & 2048 ? t.d.push(e) : e.f & 4096 && t.m.push(e), rt(e, g);
		for (var n = e.first; n !== null;) Bt(n, t), n = n.next;
	}
}
function Vt(e) {
	rt(e, g);
	for (var t = e.first; t !== null;) Vt(t), t = t.next;
}
// node_modules/svelte/src/internal/client/reactivity/sources.js
var Ht = /* @__PURE__ */ new Set(), Ut = /* @__PURE__ */ new Map(), Wt = !1;
function Gt(e, t) {
	return {
		f: 0,
		v: e,
		reactions: null,
		equals: ke,
		rv: 0,
		wv: 0
	};
}
/*#__NO_SIDE_EFFECTS__*/
function N(e, t) {
	let n = Gt(e, t);
	return Yn(n), n;
}
/*#__NO_SIDE_EFFECTS__*/
function Kt(e, t = !1, n = !0) {
	let r = Gt(e);
	return t || (r.equals = je), r;
}
function P(e, t, n = !1) {
	return B !== null && (!Gn || B.f & 131072) && Ze() && B.f & 4325394 && (Jn === null || !Jn.has(e)) && He(), Yt(e, n ? en(t) : t, jt);
}
var qt = null, Jt = 0;
function Yt(e, t, n = null) {
	if (!e.equals(t)) {
		Un ? Ut.set(e, t) : Ut.has(e) || Ut.set(e, e.v);
		var r = Pt.ensure();
		if (r.capture(e, t), e.f & 2) {
			let t = e;
			e.f & 2048 && bt(t), Et === null && it(t);
		}
		e.wv = ir(), qt = null, Jt = 0, $t(e, _, n), qt = null, Ze() && V !== null && V.f & 1024 && !(V.f & 96) && (Qn === null ? $n([e]) : Qn.push(e)), !r.is_fork && Ht.size > 0 && !Wt && Xt();
	}
	return t;
}
function Xt() {
	Wt = !1;
	for (let e of Ht) {
		e.f & 1024 && rt(e, v);
		let t;
		try {
			t = ar(e);
		} catch {
			t = !0;
		}
		t && dr(e);
	}
	Ht.clear();
}
function Zt(e, t = 1) {
	var n = H(e), r = t === 1 ? n++ : n--;
	return P(e, n), r;
}
function Qt(e) {
	P(e, e.v + 1);
}
function $t(e, t, n) {
	var r = e.reactions;
	if (r !== null) {
		var i = Ze(), a = r.length;
		if (Jt += a, Jt > 1e5 && qt === null && (qt = /* @__PURE__ */ new Set()), qt !== null) {
			if (qt.has(e)) return;
			qt.add(e);
		}
		for (var o = 0; o < a; o++) {
			var s = r[o], c = s.f;
			if (i || s !== V) {
				var l = (c & _) === 0;
				if (l && rt(s, t), c & 131072) Ht.add(s);
				else if (c & 2) {
					var u = s;
					Et?.delete(u), $t(u, v, n);
				} else if (l) {
					var d = s;
					c & 16 && Lt !== null && Lt.add(d), n === null ? zt(d) : n.push(d);
				}
			}
		}
	}
}
function en(t) {
	if (typeof t != "object" || !t || ae in t || oe in t) return t;
	let n = l(t);
	if (n !== s && n !== c) return t;
	var r = /* @__PURE__ */ new Map(), i = e(t), o = /* @__PURE__ */ N(0), u = null, d = nr, f = (e) => {
		if (nr === d) return e();
		var t = B, n = nr;
		Kn(null), rr(d);
		var r = e();
		return Kn(t), rr(n), r;
	};
	return i && r.set("length", /* @__PURE__ */ N(t.length, u)), new Proxy(t, {
		defineProperty(e, t, n) {
			"value" in n && n.configurable !== !1 && n.enumerable !== !1 && n.writable !== !1 || Be();
			var i = r.get(t);
			return i === void 0 ? f(() => {
				var e = /* @__PURE__ */ N(n.value, u);
				return r.set(t, e), e;
			}) : P(i, n.value, !0), !0;
		},
		deleteProperty(e, t) {
			var n = r.get(t);
			if (n === void 0) {
				if (t in e) {
					let e = f(() => /* @__PURE__ */ N(T, u));
					r.set(t, e), Qt(o);
				}
			} else P(n, T), Qt(o);
			return !0;
		},
		get(e, n, i) {
			if (n === ae) return t;
			var o = r.get(n), s = n in e;
			if (o === void 0 && (!s || a(e, n)?.writable) && (o = f(() => /* @__PURE__ */ N(en(s ? e[n] : T), u)), r.set(n, o)), o !== void 0) {
				var c = H(o);
				return c === T ? void 0 : c;
			}
			return Reflect.get(e, n, i);
		},
		getOwnPropertyDescriptor(e, t) {
			this.has?.(e, t);
			var n = Reflect.getOwnPropertyDescriptor(e, t), i = r.get(t);
			if (i !== void 0) {
				var a = H(i);
				if (a === T) return;
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
			if (t === ae) return !0;
			var n = r.get(t), i = n !== void 0 && n.v !== T || Reflect.has(e, t);
			return (n !== void 0 || (V !== null || B !== null) && (!i || a(e, t)?.writable)) && (n === void 0 && (n = f(() => /* @__PURE__ */ N(i ? en(e[t]) : T, u)), r.set(t, n)), H(n) === T) ? !1 : i;
		},
		set(e, t, n, s) {
			var c = r.get(t), l = t in e;
			if (i && t === "length") for (var d = n; d < c.v; d += 1) {
				var p = r.get(d + "");
				p === void 0 ? d in e && (p = f(() => /* @__PURE__ */ N(T, u)), r.set(d + "", p)) : P(p, T);
			}
			if (c === void 0) (!l || a(e, t)?.writable) && (c = f(() => /* @__PURE__ */ N(void 0, u)), P(c, en(n)), r.set(t, c));
			else {
				l = c.v !== T;
				var m = f(() => en(n));
				P(c, m);
			}
			var h = Reflect.getOwnPropertyDescriptor(e, t);
			if (h?.set && h.set.call(s, n), !l) {
				if (i && typeof t == "string") {
					var g = r.get("length"), _ = Number(t);
					Number.isInteger(_) && _ >= g.v && P(g, _ + 1);
				}
				Qt(o);
			}
			return !0;
		},
		ownKeys(e) {
			H(o);
			var t = Reflect.ownKeys(e).filter((e) => {
				var t = r.get(e);
				return t === void 0 || t.v !== T;
			});
			for (var [n, i] of r) i.v !== T && !(n in e) && t.push(n);
			return t;
		},
		setPrototypeOf() {
			Ve();
		}
	});
}
function tn(e) {
	try {
		if (typeof e == "object" && e && ae in e) return e[ae];
	} catch {}
	return e;
}
function nn(e, t) {
	return Object.is(tn(e), tn(t));
}
// node_modules/svelte/src/internal/client/dom/operations.js
var rn, an, on, sn;
function cn() {
	if (rn === void 0) {
		rn = window, an = /Firefox/.test(navigator.userAgent);
		var e = Element.prototype, t = Node.prototype, n = Text.prototype;
		on = a(t, "firstChild").get, sn = a(t, "nextSibling").get, u(e) && (e[ue] = void 0, e[le] = null, e[de] = void 0, e.__e = void 0), u(n) && (n[fe] = void 0);
	}
}
function ln(e = "") {
	return document.createTextNode(e);
}
/*@__NO_SIDE_EFFECTS__*/
function un(e) {
	return on.call(e);
}
/*@__NO_SIDE_EFFECTS__*/
function dn(e) {
	return sn.call(e);
}
function F(e, t) {
	if (!E) return /* @__PURE__ */ un(e);
	var n = /* @__PURE__ */ un(D);
	if (n === null) n = D.appendChild(ln());
	else if (t && n.nodeType !== 3) {
		var r = ln();
		return n?.before(r), we(r), r;
	}
	return t && hn(n), we(n), n;
}
function I(e, t = !1) {
	if (!E) {
		var n = /* @__PURE__ */ un(e);
		return n instanceof Comment && n.data === "" ? /* @__PURE__ */ dn(n) : n;
	}
	if (t) {
		if (D?.nodeType !== 3) {
			var r = ln();
			return D?.before(r), we(r), r;
		}
		hn(D);
	}
	return D;
}
function L(e, t = !1) {
	if (!E) return /* @__PURE__ */ un(e);
	var n = F(e, t);
	return O(e), n;
}
function R(e, t = 1, n = !1) {
	let r = E ? D : e;
	for (var i; t--;) i = r, r = /* @__PURE__ */ dn(r);
	if (!E) return r;
	if (n) {
		if (r?.nodeType !== 3) {
			var a = ln();
			return r === null ? i?.after(a) : r.before(a), we(a), a;
		}
		hn(r);
	}
	return we(r), r;
}
function fn(e) {
	e.textContent = "";
}
function pn() {
	return !1;
}
function mn(e, t, n) {
	return t == null || t === "http://www.w3.org/1999/xhtml" ? n ? document.createElement(e, { is: n }) : document.createElement(e) : n ? document.createElementNS(t, e, { is: n }) : document.createElementNS(t, e);
}
function hn(e) {
	if (e.nodeValue.length < 65536) return;
	let t = e.nextSibling;
	for (; t !== null && t.nodeType === 3;) t.remove(), e.nodeValue += t.nodeValue, t = e.nextSibling;
}
// node_modules/svelte/src/internal/client/error-handling.js
function gn(e) {
	var t = V;
	if (t === null) return B.f |= ie, e;
	if (!(t.f & 32768) && !(t.f & 4)) throw e;
	_n(e, t);
}
function _n(e, t) {
	if (e === ge) throw e;
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
function vn(e) {
	V === null && (B === null && Le(e), Ie()), Un && Fe(e);
}
function yn(e, t) {
	var n = t.last;
	n === null ? t.last = t.first = e : (n.next = e, e.prev = n, t.last = e);
}
function bn(e, t) {
	var n = V;
	n !== null && n.f & 8192 && (e |= y);
	var r = {
		ctx: Ke,
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
	M?.register_created_effect(r);
	var i = r;
	if (e & 4) At === null ? Pt.ensure().schedule(r) : At.push(r);
	else if (t !== null) {
		try {
			dr(r);
		} catch (e) {
			throw Pn(r), e;
		}
		i.deps === null && i.teardown === null && i.nodes === null && i.first === i.last && !(i.f & 524288) && (i = i.first, e & 16 && e & 65536 && i !== null && (i.f |= ee));
	}
	if (i !== null && (i.parent = n, n !== null && yn(i, n), B !== null && B.f & 2 && !(e & 64))) {
		var a = B;
		(a.effects ??= []).push(i);
	}
	return r;
}
function xn() {
	return B !== null && !Gn;
}
function Sn(e) {
	let t = bn(8, null);
	return rt(t, g), t.teardown = e, t;
}
function Cn(e) {
	vn("$effect");
	var t = V.f;
	if (!B && t & 32 && Ke !== null && !Ke.i) {
		var n = Ke;
		(n.e ??= []).push(e);
	} else return wn(e);
}
function wn(e) {
	return bn(4 | te, e);
}
function Tn(e) {
	Pt.ensure();
	let t = bn(64 | C, e);
	return (e = {}) => new Promise((n) => {
		e.outro ? Ln(t, () => {
			Pn(t), n(void 0);
		}) : (Pn(t), n(void 0));
	});
}
function En(e) {
	return bn(4, e);
}
function Dn(e) {
	return bn(re | C, e);
}
function On(e, t = 0) {
	return bn(8 | t, e);
}
function z(e, t = [], n = [], r = []) {
	dt(r, t, n, (t) => {
		bn(8, () => {
			e(...t.map(H));
		});
	});
}
function kn(e, t = 0) {
	return bn(16 | t, e);
}
function An(e) {
	return bn(32 | C, e);
}
function jn(e) {
	var t = e.teardown;
	if (t !== null) {
		let n = Un, r = B;
		Wn(!0), Kn(null);
		try {
			t.call(null);
		} catch (t) {
			_n(t, e.parent);
		} finally {
			Wn(n), Kn(r);
		}
	}
}
function Mn(e, t = !1) {
	var n = e.first;
	for (e.first = e.last = null; n !== null;) {
		let e = n.ac;
		e !== null && lt(() => {
			e.abort(me);
		});
		var r = n.next;
		n.f & 64 ? n.parent = null : Pn(n, t), n = r;
	}
}
function Nn(e) {
	for (var t = e.first; t !== null;) {
		var n = t.next;
		t.f & 32 || Pn(t), t = n;
	}
}
function Pn(e, t = !0) {
	var n = !1;
	(t || e.f & 262144) && e.nodes !== null && e.nodes.end !== null && (Fn(e.nodes.start, e.nodes.end), n = !0), e.f |= S, Mn(e, t && !n), ur(e, 0);
	var r = e.nodes && e.nodes.t;
	if (r !== null) for (let e of r) e.stop();
	jn(e), e.f ^= S, e.f |= b;
	var i = e.parent;
	i !== null && i.first !== null && In(e), e.next = e.prev = e.teardown = e.ctx = e.deps = e.fn = e.nodes = e.ac = e.b = null;
}
function Fn(e, t) {
	for (; e !== null;) {
		var n = e === t ? null : /* @__PURE__ */ dn(e);
		e.remove(), e = n;
	}
}
function In(e) {
	var t = e.parent, n = e.prev, r = e.next;
	n !== null && (n.next = r), r !== null && (r.prev = n), t !== null && (t.first === e && (t.first = r), t.last === e && (t.last = n));
}
function Ln(e, t, n = !0) {
	var r = [];
	e.f |= 256, Rn(e, r, !0);
	var i = () => {
		n && Pn(e), t && t();
	}, a = r.length;
	if (a > 0) {
		var o = () => --a || i();
		for (var s of r) s.out(o);
	} else i();
}
function Rn(e, t, n) {
	if (!(e.f & 8192)) {
		e.f ^= y;
		var r = e.nodes && e.nodes.t;
		if (r !== null) for (let e of r) (e.is_global || n) && t.push(e);
		for (var i = e.first; i !== null;) {
			var a = i.next;
			if (!(i.f & 64)) {
				var o = !!(i.f & 65536) || !!(i.f & 32) && !!(e.f & 16);
				Rn(i, t, o ? n : !1);
			}
			i = a;
		}
	}
}
function zn(e) {
	e.f &= -257, Bn(e, !0);
}
function Bn(e, t) {
	if (!(e.f & 256) && e.f & 8192) {
		e.f ^= y, e.f & 1024 || (rt(e, _), Pt.ensure().schedule(e));
		for (var n = e.first; n !== null;) {
			var r = n.next, i = !!(n.f & 65536) || !!(n.f & 32);
			Bn(n, i ? t : !1), n = r;
		}
		var a = e.nodes && e.nodes.t;
		if (a !== null) for (let e of a) (e.is_global || t) && e.in();
	}
}
function Vn(e, t) {
	if (e.nodes) for (var n = e.nodes.start, r = e.nodes.end; n !== null;) {
		var i = n === r ? null : /* @__PURE__ */ dn(n);
		t.append(n), n = i;
	}
}
// node_modules/svelte/src/internal/client/legacy.js
var Hn = null, Un = !1;
function Wn(e) {
	Un = e;
}
var B = null, Gn = !1;
function Kn(e) {
	B = e;
}
var V = null;
function qn(e) {
	V = e;
}
var Jn = null;
function Yn(e) {
	B !== null && (B.f & 2097152 || B.f & 2) && (Jn ??= /* @__PURE__ */ new Set()).add(e);
}
var Xn = null, Zn = 0, Qn = null;
function $n(e) {
	Qn = e;
}
var er = 1, tr = 0, nr = tr;
function rr(e) {
	nr = e;
}
function ir() {
	return ++er;
}
function ar(e) {
	var t = e.f;
	if (t & 2048) return !0;
	if (t & 4096) {
		for (var n = e.deps, r = n.length, i = 0; i < r; i++) {
			var a = n[i];
			if (ar(a) && xt(a), a.wv > e.wv) return !0;
		}
		t & 512 && Et === null && rt(e, g);
	}
	return !1;
}
function or(e, t, n = !0) {
	var r = e.reactions;
	if (r !== null && !(Jn !== null && Jn.has(e))) for (var i = 0; i < r.length; i++) {
		var a = r[i];
		a.f & 2 ? or(a, t, !1) : t === a && (n ? rt(a, _) : a.f & 1024 && rt(a, v), zt(a));
	}
}
function sr(e) {
	var t = Xn, n = Zn, r = Qn, i = B, a = Jn, o = Ke, s = Gn, c = nr, l = e.f;
	Xn = null, Zn = 0, Qn = null, B = l & 96 ? null : e, Jn = null, qe(e.ctx), Gn = !1, nr = ++tr, e.ac !== null && (lt(() => {
		e.ac.abort(me);
	}), e.ac = null);
	try {
		e.f |= ne;
		var u = (0, e.fn)();
		e.f |= x;
		var d = cr(e);
		if (Ze() && Qn !== null && !Gn && d !== null && !(e.f & 6146)) for (var f = 0; f < Qn.length; f++) or(Qn[f], e);
		if (i !== null && i !== e) {
			if (tr++, i.deps !== null) for (let e = 0; e < n; e += 1) i.deps[e].rv = tr;
			if (t !== null) for (let e of t) e.rv = tr;
			Qn !== null && (r === null ? r = Qn : r.push(...Qn));
		}
		return e.f & 8388608 && (e.f ^= ie), u;
	} catch (t) {
		return cr(e), gn(t);
	} finally {
		e.f ^= ne, Xn = t, Zn = n, Qn = r, B = i, Jn = a, qe(o), Gn = s, nr = c;
	}
}
function cr(e) {
	var t = e.deps, n = M?.is_fork;
	if (Xn !== null) {
		var r;
		if (n || ur(e, Zn), t !== null && Zn > 0) for (t.length = Zn + Xn.length, r = 0; r < Xn.length; r++) t[Zn + r] = Xn[r];
		else e.deps = t = Xn;
		if (xn() && e.f & 512) for (r = Zn; r < t.length; r++) (t[r].reactions ??= []).push(e);
	} else !n && t !== null && Zn < t.length && (ur(e, Zn), t.length = Zn);
	return t;
}
function lr(e, r) {
	let i = r.reactions;
	if (i !== null) {
		var a = t.call(i, e);
		if (a !== -1) {
			var o = i.length - 1;
			o === 0 ? i = r.reactions = null : (i[a] = i[o], i.pop());
		}
	}
	if (i === null && r.f & 2 && (Xn === null || !n.call(Xn, r))) {
		var s = r;
		s.f & 512 && (s.f ^= 512), s.v !== T && it(s), s.ac !== null && lt(() => {
			s.ac.abort(me), s.ac = null, rt(s, _);
		}), St(s), ur(s, 0);
	}
}
function ur(e, t) {
	var n = e.deps;
	if (n !== null) for (var r = t; r < n.length; r++) lr(e, n[r]);
}
function dr(e) {
	var t = e.f;
	if (!(t & 16384)) {
		rt(e, g);
		var n = V;
		V = e;
		try {
			t & 16777232 ? Nn(e) : Mn(e), jn(e);
			var r = sr(e);
			e.teardown = typeof r == "function" ? r : null, e.wv = er;
		} finally {
			V = n;
		}
	}
}
async function fr() {
	await Promise.resolve(), Ft();
}
function H(e) {
	var t = !!(e.f & 2);
	if (Hn?.add(e), B !== null && !Gn && !(V !== null && V.f & 16384) && (Jn === null || !Jn.has(e))) {
		var r = B.deps;
		if (B.f & 2097152) e.rv < tr && (e.rv = tr, Xn === null && r !== null && r[Zn] === e ? Zn++ : Xn === null ? Xn = [e] : Xn.push(e));
		else {
			B.deps ??= [], n.call(B.deps, e) || B.deps.push(e);
			var i = e.reactions;
			i === null ? e.reactions = [B] : n.call(i, B) || i.push(B);
		}
	}
	if (Un && Ut.has(e)) return Ut.get(e);
	if (t) {
		var a = e;
		if (Un) {
			var o = a.v;
			return (!(a.f & 1024) && a.reactions !== null || mr(a)) && (o = bt(a)), Ut.set(a, o), o;
		}
		var s = !(a.f & 512) && !Gn && B !== null && !!(B.f & 512), c = (a.f & x) === 0;
		ar(a) && (s && (a.f |= 512), xt(a)), s && !c && (Ct(a), pr(a));
	}
	if (Et?.has(e)) return Et.get(e);
	if (e.f & 8388608) throw e.v;
	return e.v;
}
function pr(e) {
	if (e.f |= 512, e.deps !== null) for (let r of e.deps) {
		var t = r.reactions;
		t === null ? r.reactions = [e] : n.call(t, e) || t.push(e), r.f & 2 && !(r.f & 512) && (Ct(r), pr(r));
	}
}
function mr(e) {
	if (e.v === T) return !0;
	if (e.deps === null) return !1;
	for (let t of e.deps) if (Ut.has(t) || t.f & 2 && mr(t)) return !0;
	return !1;
}
function hr(e) {
	var t = Gn;
	try {
		return Gn = !0, e();
	} finally {
		Gn = t;
	}
}
[.../* @__PURE__ */ "allowfullscreen.async.autofocus.autoplay.checked.controls.default.disabled.formnovalidate.indeterminate.inert.ismap.loop.multiple.muted.nomodule.novalidate.open.playsinline.readonly.required.reversed.seamless.selected.webkitdirectory.defer.disablepictureinpicture.disableremoteplayback".split(".")];
var gr = ["touchstart", "touchmove"];
function _r(e) {
	return gr.includes(e);
}
var vr = [
	"textarea",
	"script",
	"style",
	"title"
];
function yr(e) {
	return vr.includes(e);
}
// node_modules/svelte/src/internal/client/dom/elements/events.js
var br = Symbol("events"), xr = /* @__PURE__ */ new Set(), Sr = /* @__PURE__ */ new Set();
function Cr(e) {
	if (!E) return;
	e.removeAttribute("onload"), e.removeAttribute("onerror");
	let t = e.__e;
	t !== void 0 && (e.__e = void 0, queueMicrotask(() => {
		e.isConnected && e.dispatchEvent(t);
	}));
}
function wr(e, t, n, r = {}) {
	function i(e) {
		if (r.capture || kr.call(t, e), !e.cancelBubble) return lt(() => n?.call(this, e));
	}
	return e.startsWith("pointer") || e.startsWith("touch") || e === "wheel" ? (i.__removed = !1, et(() => {
		i.__removed || t.addEventListener(e, i, r);
	})) : t.addEventListener(e, i, r), i;
}
function Tr(e, t, n, r, i) {
	var a = {
		capture: r,
		passive: i
	}, o = wr(e, t, n, a);
	(t === document.body || t === window || t === document || t instanceof HTMLMediaElement) && Sn(() => {
		o.__removed = !0, t.removeEventListener(e, o, a);
	});
}
function U(e, t, n) {
	(t[br] ??= {})[e] = n;
}
function Er(e) {
	for (var t = 0; t < e.length; t++) xr.add(e[t]);
	for (var n of Sr) n(e);
}
var Dr = null, Or = !1;
function kr(e) {
	var t = this, n = t.ownerDocument, r = e.type, a = e.composedPath?.() || [], o = a[0] || e.target;
	Dr = e, Or || (Or = !0, setTimeout(() => {
		Or = !1, Dr = null;
	}));
	var s = 0, c = Dr === e && e[br];
	if (c) {
		var l = a.indexOf(c);
		if (l !== -1 && (t === document || t === window)) {
			e[br] = t;
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
		var d = B, f = V;
		Kn(null), qn(null);
		try {
			for (var p, m = []; o !== null && o !== t;) {
				try {
					var h = o[br]?.[r];
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
			e[br] = t, delete e.currentTarget, Kn(d), qn(f);
		}
	}
}
// node_modules/svelte/src/internal/client/dom/reconciler.js
var Ar = globalThis?.window?.trustedTypes && /* @__PURE__ */ globalThis.window.trustedTypes.createPolicy("svelte-trusted-html", { createHTML: (e) => e });
function jr(e) {
	return Ar?.createHTML(e) ?? e;
}
function Mr(e) {
	var t = mn("template");
	return t.innerHTML = jr(e.replaceAll("<!>", "<!---->")), t.content;
}
// node_modules/svelte/src/internal/client/dom/template.js
function Nr(e, t) {
	var n = V;
	n.nodes === null && (n.nodes = {
		start: e,
		end: t,
		a: null,
		t: null
	});
}
/*#__NO_SIDE_EFFECTS__*/
function W(e, t) {
	var n = !!(t & 1), r = !!(t & 2), i, a = !e.startsWith("<!>");
	return () => {
		if (E) return Nr(D, null), D;
		i === void 0 && (i = Mr(a ? e : "<!>" + e), n || (i = /* @__PURE__ */ un(i)));
		var t = r || an ? document.importNode(i, !0) : i.cloneNode(!0);
		return n ? Nr(/* @__PURE__ */ un(t), t.lastChild) : Nr(t, t), t;
	};
}
/*#__NO_SIDE_EFFECTS__*/
function Pr(e, t, n = "svg") {
	var r = !e.startsWith("<!>"), i = !!(t & 1), a = `<${n}>${r ? e : "<!>" + e}</${n}>`, o;
	return () => {
		if (E) return Nr(D, null), D;
		if (!o) {
			var e = /* @__PURE__ */ un(Mr(a));
			if (i) for (o = document.createDocumentFragment(); /* @__PURE__ */ un(e);) o.appendChild(/* @__PURE__ */ un(e));
			else o = /* @__PURE__ */ un(e);
		}
		var t = o.cloneNode(!0);
		return i ? Nr(/* @__PURE__ */ un(t), t.lastChild) : Nr(t, t), t;
	};
}
/*#__NO_SIDE_EFFECTS__*/
function G(e, t) {
	return /* @__PURE__ */ Pr(e, t, "svg");
}
function Fr(e = "") {
	if (!E) {
		var t = ln(e + "");
		return Nr(t, t), t;
	}
	var n = D;
	return n.nodeType === 3 ? hn(n) : (n.before(n = ln()), we(n)), Nr(n, n), n;
}
function Ir() {
	if (E) return Nr(D, null), D;
	var e = document.createDocumentFragment(), t = document.createComment(""), n = ln();
	return e.append(t, n), Nr(t, n), e;
}
function K(e, t) {
	if (E) {
		var n = V;
		n.f & 32768 && n.nodes.end !== null || (n.nodes.end = D), Te();
	} else e !== null && e.before(t);
}
// node_modules/svelte/src/reactivity/create-subscriber.js
function Lr(e) {
	let t = 0, n = Gt(0), r;
	return () => {
		xn() && (H(n), On(() => (t === 0 && (r = hr(() => e(() => Qt(n)))), t += 1, () => {
			et(() => {
				--t, t === 0 && (r?.(), r = void 0, Qt(n));
			});
		})));
	};
}
// node_modules/svelte/src/internal/client/dom/blocks/boundary.js
var Rr = ee | C;
function zr(e, t, n, r) {
	new Br(e, t, n, r);
}
var Br = class {
	parent;
	is_pending = !1;
	transform_error;
	#e;
	#t = E ? D : null;
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
	#m = Lr(() => (this.#p = Gt(this.#l), () => {
		this.#p = null;
	}));
	constructor(e, t, n, r) {
		this.#e = e, this.#n = t, this.#r = (e) => {
			var t = V;
			t.b = this, t.f |= 128, n(e);
		}, this.parent = V.b, this.transform_error = r ?? this.parent?.transform_error ?? ((e) => e), this.#i = kn(() => {
			if (E) {
				let e = Oe(this.#t);
				Te();
				let t = e === "[!";
				if (e.startsWith("[?")) {
					let t = JSON.parse(e.slice(2));
					this.#g(t);
				} else t ? this.#y() : this.#h();
			} else this.#b();
		}, Rr), E && (this.#e = D);
	}
	#h() {
		try {
			this.#a = An(() => this.#r(this.#e));
		} catch (e) {
			this.error(e);
		}
	}
	#g(e) {
		let t = this.#n.failed, { reset: n, invoke_onerror: r } = this.#_(e);
		et(r), t && (this.#s = An(() => {
			t(this.#e, () => e, () => n);
		}));
	}
	#_(e) {
		var t = !1, n = !1;
		let r = () => {
			this.#v() || (t ? Se() : (t = !0, n && Ue(), this.#s !== null && Ln(this.#s, () => {
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
					_n(e, this.#i && this.#i.parent);
				}
			}
		};
	}
	#v() {
		return (this.#i.f & (b | S)) !== 0;
	}
	#y() {
		let e = this.#n.pending;
		e && (this.is_pending = !0, this.#o = An(() => e(this.#e)), et(() => {
			if (!this.#v()) {
				var e = this.#c = document.createDocumentFragment(), t = ln(), n = !1;
				e.append(t), this.#a = this.#S(() => {
					try {
						return An(() => this.#r(t));
					} catch (e) {
						try {
							this.error(e), n = !0;
						} catch (e) {
							_n(e, this.#i.parent);
						}
						return null;
					}
				}), this.#a === null ? (this.#c = null, n && this.#x(M)) : this.#u === 0 && (this.#e.before(e), this.#c = null, Ln(this.#o, () => {
					this.#o = null;
				}), this.#x(M));
			}
		}));
	}
	#b() {
		try {
			if (this.is_pending = this.has_pending_snippet(), this.#u = 0, this.#l = 0, this.#a = An(() => {
				this.#r(this.#e);
			}), this.#u > 0) {
				var e = this.#c = document.createDocumentFragment();
				Vn(this.#a, e);
				let t = this.#n.pending;
				this.#o = An(() => t(this.#e));
			} else this.#x(M);
		} catch (e) {
			this.error(e);
		}
	}
	#x(e) {
		this.is_pending = !1, e.transfer_reactions(this.#f);
	}
	defer_effect(e) {
		at(e, this.#f);
	}
	is_rendered() {
		return !this.is_pending && (!this.parent || this.parent.is_rendered());
	}
	has_pending_snippet() {
		return !!this.#n.pending;
	}
	#S(e) {
		var t = V, n = B, r = Ke;
		qn(this.#i), Kn(this.#i), qe(this.#i.ctx);
		try {
			return Pt.ensure(), e();
		} finally {
			qn(t), Kn(n), qe(r);
		}
	}
	#C(e, t) {
		this.has_pending_snippet() ? (this.#u += e, this.#u === 0 && (this.#x(t), this.#o && Ln(this.#o, () => {
			this.#o = null;
		}), this.#c &&= (this.#e.before(this.#c), null))) : this.parent && this.parent.#C(e, t);
	}
	update_pending_count(e, t) {
		this.#C(e, t), this.#l += e, !this.#p || this.#d || (this.#d = !0, et(() => {
			this.#d = !1, this.#p && Yt(this.#p, this.#l);
		}));
	}
	get_effect_pending() {
		return this.#m(), H(this.#p);
	}
	error(e) {
		if (e === ge || !this.#n.onerror && !this.#n.failed) throw e;
		M?.is_fork ? (this.#a && M.skip_effect(this.#a), this.#o && M.skip_effect(this.#o), this.#s && M.skip_effect(this.#s), M.oncommit(() => {
			this.#v() || this.#w(e);
		})) : this.#w(e);
	}
	#w(e) {
		this.#a &&= (Pn(this.#a), null), this.#o &&= (Pn(this.#o), null), this.#s &&= (Pn(this.#s), null), E && (we(this.#t), Ee(), we(De()));
		let t = this.#n.failed, n = (e) => {
			if (this.#v()) return;
			let { reset: n, invoke_onerror: r } = this.#_(e);
			r(), t && !this.#v() && (this.#s = this.#S(() => {
				try {
					return An(() => {
						var r = V;
						r.b = this, r.f |= 128, t(this.#e, () => e, () => n);
					});
				} catch (e) {
					return _n(e, this.#i.parent), null;
				}
			}));
		};
		et(() => {
			if (!this.#v()) {
				var t;
				try {
					t = this.transform_error(e);
				} catch (e) {
					_n(e, this.#i && this.#i.parent);
					return;
				}
				typeof t == "object" && t && typeof t.then == "function" ? t.then(n, (e) => _n(e, this.#i && this.#i.parent)) : n(t);
			}
		});
	}
};
function q(e, t) {
	var n = t == null ? "" : typeof t == "object" ? `${t}` : t;
	n !== (e[fe] ??= e.nodeValue) && (e[fe] = n, e.nodeValue = `${n}`);
}
function Vr(e, t) {
	return Ur(e, t);
}
var Hr = /* @__PURE__ */ new Map();
function Ur(e, { target: t, anchor: n, props: i = {}, events: a, context: o, intro: s = !0, transformError: c }) {
	cn();
	var l = void 0, u = Tn(() => {
		var s = n ?? t.appendChild(ln());
		zr(s, { pending: () => {} }, (t) => {
			k({});
			var n = Ke;
			if (o && (n.c = o), a && (i.$$events = a), E && Nr(t, null), l = e(t, i) || Xe(), E && (V.nodes.end = D, D === null || D.nodeType !== 8 || D.data !== "]")) throw be(), ge;
			A();
		}, c);
		var u = /* @__PURE__ */ new Set(), d = (e) => {
			for (var n = 0; n < e.length; n++) {
				var r = e[n];
				if (!u.has(r)) {
					u.add(r);
					var i = _r(r);
					for (let e of [t, document]) {
						var a = Hr.get(e);
						a === void 0 && (a = /* @__PURE__ */ new Map(), Hr.set(e, a));
						var o = a.get(r);
						o === void 0 ? (e.addEventListener(r, kr, { passive: i }), a.set(r, 1)) : a.set(r, o + 1);
					}
				}
			}
		};
		return d(r(xr)), Sr.add(d), () => {
			for (var e of u) for (let n of [t, document]) {
				var r = Hr.get(n), i = r.get(e);
				--i == 0 ? (n.removeEventListener(e, kr), r.delete(e), r.size === 0 && Hr.delete(n)) : r.set(e, i);
			}
			Sr.delete(d), s !== n && s.parentNode?.removeChild(s);
		};
	});
	return Wr.set(l, u), l;
}
var Wr = /* @__PURE__ */ new WeakMap();
function Gr(e, t) {
	let n = Wr.get(e);
	return n ? (Wr.delete(e), n(t)) : Promise.resolve();
}
// node_modules/svelte/src/internal/client/dom/blocks/branches.js
var Kr = class {
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
			if (n) zn(n), this.#r.delete(t);
			else {
				var r = this.#n.get(t);
				r && (zn(r.effect), this.#t.set(t, r.effect), this.#n.delete(t), r.fragment.lastChild.remove(), this.anchor.before(r.fragment), n = r.effect);
			}
			for (let [t, n] of this.#e) {
				if (this.#e.delete(t), t === e) break;
				let r = this.#n.get(n);
				r && (Pn(r.effect), this.#n.delete(n));
			}
			for (let [e, r] of this.#t) {
				if (e === t || this.#r.has(e)) continue;
				let i = () => {
					if (Array.from(this.#e.values()).includes(e)) {
						var t = document.createDocumentFragment();
						Vn(r, t), t.append(ln()), this.#n.set(e, {
							effect: r,
							fragment: t
						});
					} else Pn(r);
					this.#r.delete(e), this.#t.delete(e);
				};
				this.#i || !n ? (this.#r.add(e), Ln(r, i, !1)) : i();
			}
		}
	};
	#o = (e) => {
		this.#e.delete(e);
		let t = Array.from(this.#e.values());
		for (let [e, n] of this.#n) t.includes(e) || (Pn(n.effect), this.#n.delete(e));
	};
	ensure(e, t) {
		var n = M, r = pn();
		if (t && !this.#t.has(e) && !this.#n.has(e)) {
			if (r) {
				var i = document.createDocumentFragment(), a = ln();
				i.append(a), this.#n.set(e, {
					effect: An(() => t(a)),
					fragment: i
				});
			} else this.#t.set(e, An(() => t(this.anchor)));
		}
		if (this.#e.set(n, e), r) {
			for (let [t, r] of this.#t) t === e ? n.unskip_effect(r) : n.skip_effect(r);
			for (let [t, r] of this.#n) t === e ? n.unskip_effect(r.effect) : n.skip_effect(r.effect);
			n.oncommit(this.#a), n.ondiscard(this.#o);
		} else E && (this.anchor = D), this.#a(n);
	}
}, qr = 0, Jr = 1, Yr = 2;
function Xr(e, t, n, r, i) {
	E && Te();
	var a = Ze(), o = T, s = a ? Gt(o) : /* @__PURE__ */ Kt(o, !1, !1), c = a ? Gt(o) : /* @__PURE__ */ Kt(o, !1, !1), l = new Kr(e);
	kn(() => {
		var a = M, o = t(), u = !1;
		let d = E && f(o) === (e.data === "[!");
		if (d && (we(De()), Ce(!1)), f(o)) {
			var p = ft(), m = !1;
			let e = (e) => {
				if (!u) {
					m = !0, p(!1), M === a && a.deactivate(), Pt.ensure();
					try {
						e();
					} finally {
						pt(!1), Ot || Ft();
					}
				}
			};
			o.then((t) => {
				e(() => {
					Yt(s, t), l.ensure(Jr, r && ((e) => r(e, s)));
				});
			}, (t) => {
				e(() => {
					if (Yt(c, t), l.ensure(Yr, i && ((e) => i(e, c))), !i) throw c.v;
				});
			}), E ? l.ensure(qr, n) : et(() => {
				m || e(() => {
					l.ensure(qr, n);
				});
			});
		} else Yt(s, o), l.ensure(Jr, r && ((e) => r(e, s)));
		return d && Ce(!0), () => {
			u = !0;
		};
	});
}
// node_modules/svelte/src/internal/client/dom/blocks/if.js
function J(e, t, n = !1) {
	var r;
	E && (r = D, Te());
	var i = new Kr(e), a = n ? ee : 0;
	function o(e, t) {
		if (E) {
			var n = Oe(r);
			if (e !== parseInt(n.substring(1))) {
				var a = De();
				we(a), i.anchor = a, Ce(!1), i.ensure(e, t), Ce(!0);
				return;
			}
		}
		i.ensure(e, t);
	}
	kn(() => {
		var e = !1;
		t((t, n = 0) => {
			e = !0, o(n, t);
		}), e || o(-1, null);
	}, a);
}
// node_modules/svelte/src/internal/client/dom/blocks/each.js
function Y(e, t) {
	return t;
}
function Zr(e, t, n) {
	for (var i = [], a = t.length, o, s = t.length, c = 0; c < a; c++) {
		let n = t[c];
		Ln(n, () => {
			if (o) {
				if (o.pending.delete(n), o.done.add(n), o.pending.size === 0) {
					var t = e.outrogroups;
					Qr(e, r(o.done)), t.delete(o), t.size === 0 && (e.outrogroups = null);
				}
			} else --s;
		}, !1);
	}
	if (s === 0) {
		var l = i.length === 0 && n !== null && e.pending.size === 0;
		if (l) {
			var u = n, d = u.parentNode;
			fn(d), d.append(u), e.items.clear();
		}
		Qr(e, t, !l);
	} else o = {
		pending: new Set(t),
		done: /* @__PURE__ */ new Set()
	}, (e.outrogroups ??= /* @__PURE__ */ new Set()).add(o);
}
function Qr(e, t, n = !0) {
	var r;
	if (e.pending.size > 0) {
		r = /* @__PURE__ */ new Set();
		for (let t of e.pending.values()) for (let n of t) r.add(e.items.get(n).e);
	}
	for (var i = 0; i < t.length; i++) {
		var a = t[i];
		r?.has(a) ? (a.f |= w, Vn(a, document.createDocumentFragment())) : Pn(t[i], n);
	}
}
var $r;
function X(t, n, i, a, o, s = null) {
	var c = t, l = /* @__PURE__ */ new Map();
	if (n & 4) {
		var u = t;
		c = E ? we(/* @__PURE__ */ un(u)) : u.appendChild(ln());
	}
	E && Te();
	var d = null, f = /* @__PURE__ */ vt(() => {
		var t = i();
		return e(t) ? t : t == null ? [] : r(t);
	}), p = /* @__PURE__ */ new Map(), m = !0;
	function h(e) {
		if (!(_.effect.f & 16384)) {
			_.pending.delete(e);
			var t = H(f);
			_.fallback = d, ti(_, t, c, n, a), d !== null && (t.length === 0 ? d.f & 33554432 ? (d.f ^= w, ri(d, null, c)) : zn(d) : Ln(d, () => {
				d = null;
			}));
		}
	}
	function g(e) {
		_.pending.delete(e);
	}
	var _ = {
		effect: kn(() => {
			var e = H(f), t = e.length;
			let r = !1;
			E && Oe(c) === "[!" != (t === 0) && (c = De(), we(c), Ce(!1), r = !0);
			for (var u = /* @__PURE__ */ new Set(), _ = M, v = pn(), y = 0; y < t; y += 1) {
				E && D.nodeType === 8 && D.data === "]" && (c = D, r = !0, Ce(!1));
				var b = e[y], x = a(b, y), S = m ? null : l.get(x);
				S ? (S.v && Yt(S.v, b), S.i && Yt(S.i, y), v && _.unskip_effect(S.e)) : (S = ni(l, m ? c : $r ??= ln(), b, x, y, o, n, i), m || (S.e.f |= w), l.set(x, S)), u.add(x);
			}
			if (t === 0 && s && !d && (m ? d = An(() => s(c)) : (d = An(() => s($r ??= ln())), d.f |= w)), t > u.size && Pe("", "", ""), E && t > 0 && we(De()), !m) {
				if (p.set(_, u), v) {
					for (let [e, t] of l) u.has(e) || _.skip_effect(t.e);
					_.oncommit(h), _.ondiscard(g);
				} else h(_);
			}
			r && Ce(!0), H(f);
		}),
		flags: n,
		items: l,
		pending: p,
		outrogroups: null,
		fallback: d
	};
	m = !1, E && (c = D);
}
function ei(e) {
	for (; e !== null && !(e.f & 32);) e = e.next;
	return e;
}
function ti(e, t, n, i, a) {
	var o = !!(i & 8), s = t.length, c = e.items, l = ei(e.effect.first), u, d = null, f, p = [], m = [], h, g, _, v;
	if (o) for (v = 0; v < s; v += 1) h = t[v], g = a(h, v), _ = c.get(g).e, _.f & 33554432 || (_.nodes?.a?.measure(), (f ??= /* @__PURE__ */ new Set()).add(_));
	for (v = 0; v < s; v += 1) {
		if (h = t[v], g = a(h, v), _ = c.get(g).e, e.outrogroups !== null) for (let t of e.outrogroups) t.pending.delete(_), t.done.delete(_);
		if (_.f & 8192 && (zn(_), o && (_.nodes?.a?.unfix(), (f ??= /* @__PURE__ */ new Set()).delete(_))), _.f & 33554432) {
			if (_.f ^= w, _ === l) ri(_, null, n);
			else {
				var y = d ? d.next : l;
				_ === e.effect.last && (e.effect.last = _.prev), _.prev && (_.prev.next = _.next), _.next && (_.next.prev = _.prev), ii(e, d, _), ii(e, _, y), ri(_, y, n), d = _, p = [], m = [], l = ei(d.next);
				continue;
			}
		}
		if (_ !== l) {
			if (u !== void 0 && u.has(_)) {
				if (p.length < m.length) {
					var b = m[0], x;
					d = b.prev;
					var S = p[0], ee = p[p.length - 1];
					for (x = 0; x < p.length; x += 1) ri(p[x], b, n);
					for (x = 0; x < m.length; x += 1) u.delete(m[x]);
					ii(e, S.prev, ee.next), ii(e, d, S), ii(e, ee, b), l = b, d = ee, --v, p = [], m = [];
				} else u.delete(_), ri(_, l, n), ii(e, _.prev, _.next), ii(e, _, d === null ? e.effect.first : d.next), ii(e, d, _), d = _;
				continue;
			}
			for (p = [], m = []; l !== null && l !== _;) (u ??= /* @__PURE__ */ new Set()).add(l), m.push(l), l = ei(l.next);
			if (l === null) continue;
		}
		_.f & 33554432 || p.push(_), d = _, l = ei(_.next);
	}
	if (e.outrogroups !== null) {
		for (let t of e.outrogroups) t.pending.size === 0 && (Qr(e, r(t.done)), e.outrogroups?.delete(t));
		e.outrogroups.size === 0 && (e.outrogroups = null);
	}
	if (l !== null || u !== void 0) {
		var C = [];
		if (u !== void 0) for (_ of u) _.f & 8192 || C.push(_);
		for (; l !== null;) !(l.f & 8192) && l !== e.fallback && C.push(l), l = ei(l.next);
		var te = C.length;
		if (te > 0) {
			var ne = i & 4 && s === 0 ? n : null;
			if (o) {
				for (v = 0; v < te; v += 1) C[v].nodes?.a?.measure();
				for (v = 0; v < te; v += 1) C[v].nodes?.a?.fix();
			}
			Zr(e, C, ne);
		}
	}
	o && et(() => {
		if (f !== void 0) for (_ of f) _.nodes?.a?.apply();
	});
}
function ni(e, t, n, r, i, a, o, s) {
	var c = o & 1 ? o & 16 ? Gt(n) : /* @__PURE__ */ Kt(n, !1, !1) : null, l = o & 2 ? Gt(i) : null;
	return {
		v: c,
		i: l,
		e: An(() => (a(t, c ?? n, l ?? i, s), () => {
			e.delete(r);
		}))
	};
}
function ri(e, t, n) {
	if (e.nodes) for (var r = e.nodes.start, i = e.nodes.end, a = t && !(t.f & 33554432) ? t.nodes.start : n; r !== null;) {
		var o = /* @__PURE__ */ dn(r);
		if (a.before(r), r === i) return;
		r = o;
	}
}
function ii(e, t, n) {
	t === null ? e.effect.first = n : t.next = n, n === null ? e.effect.last = t : n.prev = t;
}
// node_modules/svelte/src/internal/client/dom/blocks/snippet.js
function ai(e, t, ...n) {
	var r = new Kr(e);
	kn(() => {
		let e = t() ?? null;
		r.ensure(e, e && ((t) => e(t, ...n)));
	}, ee);
}
// node_modules/svelte/src/internal/client/dom/blocks/svelte-element.js
function oi(e, t, n, r, i, a) {
	let o = E;
	E && Te();
	var s = null;
	E && D.nodeType === 1 && (s = D, Te());
	var c = E ? D : e, l = new Kr(c, !1);
	kn(() => {
		let e = t() || null;
		var a = i ? i() : n || e === "svg" ? ve : void 0;
		if (e === null) l.ensure(null, null);
		else return l.ensure(e, (t) => {
			if (e) {
				var n = E;
				if (s = E ? s : mn(e, a), Nr(s, s), r) {
					var i = null;
					E && yr(e) && s.append(i = document.createComment(""));
					var o = E ? /* @__PURE__ */ un(s) : s.appendChild(ln());
					E && (o === null ? Ce(!1) : we(o)), r(s, o), i?.remove();
				}
				V.nodes.end = s, n || t.before(s);
			}
			E && we(t);
		}), () => {};
	}, ee), Sn(() => {}), o && (Ce(!0), we(c));
}
// node_modules/clsx/dist/clsx.mjs
function si(e) {
	var t, n, r = "";
	if (typeof e == "string" || typeof e == "number") r += e;
	else if (typeof e == "object") {
		if (Array.isArray(e)) {
			var i = e.length;
			for (t = 0; t < i; t++) e[t] && (n = si(e[t])) && (r && (r += " "), r += n);
		} else for (n in e) e[n] && (r && (r += " "), r += n);
	}
	return r;
}
function ci() {
	for (var e, t, n = 0, r = "", i = arguments.length; n < i; n++) (e = arguments[n]) && (t = si(e)) && (r && (r += " "), r += t);
	return r;
}
// node_modules/svelte/src/internal/shared/attributes.js
function li(e) {
	return typeof e == "object" ? ci(e) : e ?? "";
}
var ui = [..." 	\n\r\f\xA0\v﻿"];
function di(e, t, n) {
	var r = e == null ? "" : "" + e;
	if (t && (r = r ? r + " " + t : t), n) {
		for (var i of Object.keys(n)) if (n[i]) r = r ? r + " " + i : i;
		else if (r.length) for (var a = i.length, o = 0; (o = r.indexOf(i, o)) >= 0;) {
			var s = o + a;
			(o === 0 || ui.includes(r[o - 1])) && (s === r.length || ui.includes(r[s])) ? r = (o === 0 ? "" : r.substring(0, o)) + r.substring(s + 1) : o = s;
		}
	}
	return r === "" ? null : r;
}
function fi(e, t = !1) {
	var n = t ? " !important;" : ";", r = "";
	for (var i of Object.keys(e)) {
		var a = e[i];
		a != null && a !== "" && (r += " " + i + ": " + a + n);
	}
	return r;
}
function pi(e) {
	return e[0] !== "-" || e[1] !== "-" ? e.toLowerCase() : e;
}
function mi(e, t) {
	if (t) {
		var n = "", r, i;
		if (Array.isArray(t) ? (r = t[0], i = t[1]) : r = t, e) {
			e = String(e).replaceAll(/\/\*.*?\*\//g, "").trim();
			var a = !1, o = 0, s = !1, c = [];
			r && c.push(...Object.keys(r).map(pi)), i && c.push(...Object.keys(i).map(pi));
			var l = 0, u = -1;
			let t = e.length;
			for (var d = 0; d < t; d++) {
				var f = e[d];
				if (s ? f === "/" && e[d - 1] === "*" && (s = !1) : a ? a === f && (a = !1) : f === "/" && e[d + 1] === "*" ? s = !0 : f === "\"" || f === "'" ? a = f : f === "(" ? o++ : f === ")" && o--, !s && a === !1 && o === 0) {
					if (f === ":" && u === -1) u = d;
					else if (f === ";" || d === t - 1) {
						if (u !== -1) {
							var p = pi(e.substring(l, u).trim());
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
		return r && (n += fi(r)), i && (n += fi(i, !0)), n = n.trim(), n === "" ? null : n;
	}
	return e == null ? null : String(e);
}
// node_modules/svelte/src/internal/client/dom/elements/class.js
function hi(e, t, n, r, i, a) {
	var o = e[ue];
	if (E || o !== n || o === void 0) {
		var s = di(n, r, a);
		E && s === e.getAttribute("class") || (s == null ? e.removeAttribute("class") : t ? e.className = s : e.setAttribute("class", s)), e[ue] = n;
	} else if (a && i !== a) for (var c in a) {
		var l = !!a[c];
		(i == null || l !== !!i[c]) && e.classList.toggle(c, l);
	}
	return a;
}
// node_modules/svelte/src/internal/client/dom/elements/style.js
function gi(e, t = {}, n, r) {
	for (var i in n) {
		var a = n[i];
		t[i] !== a && (n[i] == null ? e.style.removeProperty(i) : e.style.setProperty(i, a, r));
	}
}
function _i(e, t, n, r) {
	var i = e[de];
	if (E || i !== t) {
		var a = mi(t, r);
		E && a === e.getAttribute("style") || (a == null ? e.removeAttribute("style") : e.style.cssText = a), e[de] = t;
	} else r && (Array.isArray(r) ? (gi(e, n?.[0], r[0]), gi(e, n?.[1], r[1], "important")) : gi(e, n, r));
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
			vi(c, i ? a.includes(l) : nn(l, r));
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
		if (!e(n)) return xe();
		for (var i of t.options) i.selected = n.includes(Ci(i));
	} else {
		for (i of t.options) if (nn(Ci(i), n)) {
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
	}), Sn(() => {
		t.disconnect();
	});
}
function Si(e, t, n = t) {
	var r = /* @__PURE__ */ new WeakSet(), i = !0;
	ut(e, "change", (t) => {
		var i = t ? "[selected]" : ":checked", a;
		if (e.multiple) a = [].map.call(e.querySelectorAll(i), Ci);
		else {
			var o = e.querySelector(i) ?? e.querySelector("option:not([disabled])");
			a = o && Ci(o);
		}
		n(a), e.__value = a, M !== null && r.add(M);
	}), En(() => {
		var a = t();
		if (e === document.activeElement) {
			var o = M;
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
var Ti = Symbol("is custom element"), Ei = Symbol("is html"), Di = he ? "link" : "LINK", Oi = he ? "progress" : "PROGRESS";
function ki(e) {
	if (E) {
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
		e[pe] = n, et(n), ct();
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
	if (!(E && (i[t] = e.getAttribute(t), t === "src" || t === "srcset" || t === "href" && e.nodeName === Di))) {
		var a = i[t];
		a !== (i[t] = n) && (t === "loading" && (e[ce] = n), n == null ? e.removeAttribute(t) : typeof n != "string" && Pi(e).has(t) ? e[t] = n : (!E || typeof n != "number" && typeof n != "boolean" || a !== String(n)) && e.setAttribute(t, n));
	}
}
function Mi(e) {
	return e[le] ??= {
		[Ti]: e.nodeName.includes("-"),
		[Ei]: e.namespaceURI === _e
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
	ut(e, "input", async (i) => {
		var a = i ? e.defaultValue : e.value;
		if (a = Li(e) ? Ri(a) : a, n(a), M !== null && r.add(M), await fr(), a !== (a = t())) {
			var o = e.selectionStart, s = e.selectionEnd, c = e.value.length;
			if (e.value = a ?? "", s !== null) {
				var l = e.value.length;
				o === s && s === c && l > c ? (e.selectionStart = l, e.selectionEnd = l) : (e.selectionStart = o, e.selectionEnd = Math.min(s, l));
			}
		}
	}), (E && e.defaultValue !== e.value || hr(t) == null && e.value) && (n(Li(e) ? Ri(e.value) : e.value), M !== null && r.add(M)), On(() => {
		var n = t();
		if (e === document.activeElement) {
			var i = M;
			if (r.has(i)) return;
		}
		Li(e) && n === Ri(e.value) || (e.type !== "date" || n || e.value) && n !== e.value && (e.value = n ?? "");
	});
}
function Ii(e, t, n = t) {
	ut(e, "change", (t) => {
		n(t ? e.defaultChecked : e.checked);
	}), (E && e.defaultChecked !== e.checked || hr(t) == null) && n(e.checked), On(() => {
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
	En(() => (hr(() => n(e[t])), r));
}
// node_modules/svelte/src/internal/client/dom/elements/bindings/this.js
function Vi(e, t) {
	return e === t || e?.[ae] === t;
}
function Hi(e = Xe(), t, n, r) {
	var i = Ke.r, a = V;
	return En(() => {
		var o, s;
		return On(() => {
			o = s, s = r?.() || [], hr(() => {
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
	var i = !0, o = !!(n & 8), s = !!(n & 16), c = r, l = !0, u = void 0, d = () => s && i ? (u ??= /* @__PURE__ */ ht(r), H(u)) : (l && (l = !1, c = s ? hr(r) : r), c);
	let f;
	if (o) {
		var p = ae in e || se in e;
		f = a(e, t)?.set ?? (p && t in e ? (n) => e[t] = n : void 0);
	}
	var m, h = !1;
	o ? [m, h] = Wi(() => e[t]) : m = e[t], m === void 0 && r !== void 0 && (m = d(), f && (i && ze(t), f(m)));
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
	var v = !1, y = (n & 1 ? ht : vt)(() => (v = !1, g()));
	o && H(y);
	var b = V;
	return (function(e, t) {
		if (arguments.length > 0) {
			let n = t ? H(y) : i && o ? en(e) : e;
			return P(y, n), v = !0, c !== void 0 && (c = n), e;
		}
		return Un && v || b.f & 16384 ? y.v : H(y);
	});
}
// node_modules/svelte/src/index-client.js
function Ki(e) {
	Ke === null && Me("onMount"), Cn(() => {
		let t = hr(e);
		if (typeof t == "function") return t;
	});
}
function qi(e) {
	Ke === null && Me("onDestroy"), Ki(() => () => hr(e));
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
var Xi = /* @__PURE__ */ W("<div class=\"note error\" role=\"alert\"><p> </p></div>"), Zi = /* @__PURE__ */ W("<p class=\"busy\" role=\"status\">Loading …</p>");
function Qi(e, t) {
	var n = Ir();
	Xr(I(n), () => t.promise, (e) => {
		K(e, Zi());
	}, (e, n) => {
		var r = Ir();
		ai(I(r), () => t.children, () => H(n)), K(e, r);
	}, (e, t) => {
		var n = Xi(), r = L(F(n), !0);
		O(n), z(() => q(r, H(t).message)), K(e, n);
	}), K(e, n);
}
// src/parts/Missing.svelte
var $i = /* @__PURE__ */ W("<div class=\"note\"><p> </p> <pre> </pre></div>");
function ea(e, t) {
	var n = Ir(), r = I(n), i = (e) => {
		var n = $i(), r = F(n), i = L(r), a = L(R(r, 2), !0);
		O(n), z(() => {
			q(i, `This run has no ${t.what ?? ""} yet. This command computes it:`), q(a, t.command);
		}), K(e, n);
	};
	J(r, (e) => {
		t.command && e(i);
	}), K(e, n);
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
	return e.split("`").map((e, t) => ({
		code: t % 2 == 1,
		text: e
	}));
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
var ha = /* @__PURE__ */ W("<button class=\"plain\"> </button>");
function ga(e, t) {
	k(t, !0);
	let n = /* @__PURE__ */ N(!1);
	async function r() {
		await ma(t.code), P(n, !0), setTimeout(() => P(n, !1), 1600);
	}
	var i = Ir(), a = I(i), o = (e) => {
		var i = ha(), a = L(i, !0);
		z(() => {
			Z(i, "title", t.code), q(a, H(n) ? "Copied" : "Copy as Python");
		}), U("click", i, r), K(e, i);
	};
	J(a, (e) => {
		t.code && e(o);
	}), K(e, i), A();
}
Er(["click"]);
// src/parts/DataTable.svelte
var _a = /* @__PURE__ */ W("<th><button> </button></th>"), va = /* @__PURE__ */ W("<a> </a>"), ya = /* @__PURE__ */ W("<td><!></td>"), ba = /* @__PURE__ */ W("<tr></tr>"), xa = /* @__PURE__ */ W("<button class=\"plain\"> </button>"), Sa = /* @__PURE__ */ W("<div class=\"scroll\" role=\"region\" tabindex=\"0\"><table><thead><tr></tr></thead><tbody></tbody></table></div> <p class=\"small\"><!> <button class=\"plain\">Save as CSV</button></p>", 1);
function Ca(e, t) {
	k(t, !0);
	let n = Gi(t, "most", 3, 200), r = /* @__PURE__ */ N(null), i = /* @__PURE__ */ N(!0), a = /* @__PURE__ */ N(!1), o = /* @__PURE__ */ j(() => {
		let e = t.rows.map((e, t) => t), n = H(r);
		if (n === null) return e;
		let a = H(i) ? -1 : 1;
		return e.sort((e, r) => {
			let [i, o] = [t.rows[e]?.[n], t.rows[r]?.[n]];
			return i == null ? 1 : o == null ? -1 : a * (i < o ? -1 : +(i > o));
		});
	}), s = /* @__PURE__ */ j(() => t.columns.map((e, n) => t.rows.some((e) => typeof e[n] == "number")));
	function c(e) {
		H(r) === e ? P(i, !H(i)) : ((e) => {
			var t = h(e, 2);
			P(r, t[0], !0), P(i, t[1], !0);
		})([e, !0]);
	}
	let l = (e) => typeof e == "number" ? $(e) : typeof e == "boolean" ? e ? "yes" : "no" : e ?? "–";
	var u = Sa(), d = I(u), f = F(d), p = F(f), m = F(p);
	X(m, 21, () => t.columns, Y, (e, t, n) => {
		var a = _a();
		let o;
		var l = F(a), u = L(l);
		O(a), z(() => {
			Z(a, "aria-sort", H(r) === n ? H(i) ? "descending" : "ascending" : "none"), o = hi(a, 1, "", null, o, { n: H(s)[n] }), q(u, `${H(t) ?? ""}${H(r) === n ? H(i) ? " ↓" : " ↑" : ""}`);
		}), U("click", l, () => c(n)), K(e, a);
	}), O(m), O(p);
	var g = R(p);
	X(g, 20, () => H(a) ? H(o) : H(o).slice(0, n()), (e) => e, (e, n) => {
		var r = ba();
		X(r, 21, () => t.rows[n] ?? [], Y, (e, r, i) => {
			let a = /* @__PURE__ */ j(() => t.links?.(n, i));
			var o = ya();
			let c;
			var u = F(o), d = (e) => {
				var t = va(), n = L(t, !0);
				z((e) => {
					Z(t, "href", H(a)), q(n, e);
				}, [() => l(H(r))]), K(e, t);
			}, f = (e) => {
				var t = Fr();
				z((e) => q(t, e), [() => l(H(r))]), K(e, t);
			};
			J(u, (e) => {
				H(a) ? e(d) : e(f, -1);
			}), O(o), z(() => c = hi(o, 1, "", null, c, { n: H(s)[i] })), K(e, o);
		}), O(r), K(e, r);
	}), O(g), O(f), O(d);
	var _ = R(d, 2), v = F(_), y = (e) => {
		var n = xa(), r = L(n);
		z((e) => q(r, `Show all ${e ?? ""} rows`), [() => t.rows.length.toLocaleString("en-US")]), U("click", n, () => P(a, !0)), K(e, n);
	};
	J(v, (e) => {
		t.rows.length > n() && !H(a) && e(y);
	});
	var b = R(v, 2);
	O(_), z(() => {
		Z(d, "aria-label", t.title), Z(b, "aria-label", `Save as CSV: ${t.title}`);
	}), U("click", b, () => la(t.columns, t.rows, t.title)), K(e, u), A();
}
Er(["click"]);
// src/views/Compare.svelte
var wa = /* @__PURE__ */ W("<option> </option>"), Ta = /* @__PURE__ */ W("<h1>Compare</h1> <p class=\"lead\">For each mode of one site, the mode of the other that is active in the same samples.</p> <div class=\"controls\"><label>First <select></select></label> <label>Second <select></select></label></div> <p>The median correlation of a mode of <code> </code> with its partner at <code> </code> <!></p> <!>", 1);
function Ea(e, t) {
	k(t, !0);
	var n = Ta(), r = R(I(n), 4), i = F(r), a = R(F(i));
	X(a, 21, () => t.sites, Y, (e, t) => {
		var n = wa(), r = L(n, !0), i = {};
		z(() => {
			q(r, H(t)), i !== (i = H(t)) && (n.__value = i);
		}), K(e, n);
	}), O(a);
	var o;
	xi(a), O(i);
	var s = R(i, 2), c = R(F(s));
	X(c, 21, () => t.sites, Y, (e, t) => {
		var n = wa(), r = L(n, !0), i = {};
		z(() => {
			q(r, H(t)), i !== (i = H(t)) && (n.__value = i);
		}), K(e, n);
	}), O(c);
	var l;
	xi(c), O(s), O(r);
	var u = R(r, 2), d = R(F(u)), f = L(d, !0), p = R(d, 2), m = L(p, !0), h = R(p);
	ga(R(h), { get code() {
		return t.data.python;
	} }), O(u);
	var g = R(u, 2);
	{
		let e = /* @__PURE__ */ j(() => `Modes of ${t.data.first} and ${t.data.second}`), n = /* @__PURE__ */ j(() => [
			`mode of ${t.data.first}`,
			"name",
			"share",
			`mode of ${t.data.second}`,
			"its name",
			"correlation of loadings"
		]), r = /* @__PURE__ */ j(() => t.data.rows.map((e) => [
			e.mode,
			ia(e.name),
			e.share,
			e.partner,
			ia(e.partner_name),
			e.correlation
		]));
		Ca(g, {
			get title() {
				return H(e);
			},
			get columns() {
				return H(n);
			},
			get rows() {
				return H(r);
			},
			links: (e, n) => {
				let r = t.data.rows[e];
				return r ? n < 2 ? Q("mode", [t.data.first, r.mode]) : n === 3 || n === 4 ? Q("mode", [t.data.second, r.partner]) : null : null;
			}
		});
	}
	z((e) => {
		o !== (o = t.data.first) && (a.value = (a.__value = o) ?? "", bi(a, o)), l !== (l = t.data.second) && (c.value = (c.__value = l) ?? "", bi(c, l)), q(f, t.data.first), q(m, t.data.second), q(h, ` is ${e ?? ""}. `);
	}, [() => $(t.data.median, 2)]), U("change", a, (e) => t.go(Q("compare", [e.currentTarget.value, t.data.second]))), U("change", c, (e) => t.go(Q("compare", [t.data.first, e.currentTarget.value]))), K(e, n), A();
}
Er(["change"]);
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
			var te = n.length + e.length + r.length, w = te < h ? Array(h - te + 1).join(u) : "";
			switch (g && m && (e = t(w + e, w.length ? h - r.length : 1e400), w = ""), d) {
				case "<":
					e = n + e + r + w;
					break;
				case "=":
					e = n + w + e + r;
					break;
				case "^":
					e = w.slice(0, te = w.length >> 1) + n + e + r + w.slice(te);
					break;
				default: e = w + n + e + r;
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
var al = /* @__PURE__ */ W("<li><span></span> </li>"), ol = /* @__PURE__ */ W("<ul class=\"legend\"></ul>"), sl = /* @__PURE__ */ W("<figcaption> </figcaption>"), cl = /* @__PURE__ */ W("<figure><div class=\"head\"><!> <span><button class=\"plain\">SVG</button> <button class=\"plain\">PNG</button></span></div> <!> <!> <!></figure>");
function ll(e, t) {
	k(t, !0);
	let n = Gi(t, "level", 3, 3), r = Gi(t, "caption", 3, ""), i = /* @__PURE__ */ N(void 0), a = (e) => {
		let n = H(i)?.querySelector("svg");
		n && e(n, t.title);
	};
	var o = cl(), s = F(o), c = F(s);
	oi(c, () => `h${n()}`, !1, (e, n) => {
		var r = Fr();
		z(() => q(r, t.title)), K(n, r);
	});
	var l = R(c, 2), u = F(l), d = R(u, 2);
	O(l), O(s);
	var f = R(s, 2);
	ai(f, () => t.children);
	var p = R(f, 2), m = (e) => {
		var n = ol();
		X(n, 21, () => t.legend, Y, (e, t) => {
			var n = al(), r = F(n);
			let i;
			var a = R(r, 1, !0);
			O(n), z(() => {
				i = _i(r, "", i, {
					"border-color": H(t).colour,
					"border-top-style": H(t).dashed ? "dashed" : "solid"
				}), q(a, H(t).label);
			}), K(e, n);
		}), O(n), K(e, n);
	};
	J(p, (e) => {
		t.legend && t.legend.length > 1 && e(m);
	});
	var h = R(p, 2), g = (e) => {
		var t = sl(), n = L(t, !0);
		z(() => q(n, r())), K(e, t);
	};
	J(h, (e) => {
		r() && e(g);
	}), O(o), Hi(o, (e) => P(i, e), () => H(i)), z(() => {
		Z(u, "aria-label", `Save ${t.title} as SVG`), Z(d, "aria-label", `Save ${t.title} as PNG`);
	}), U("click", u, () => a(fa)), U("click", d, () => a(pa)), K(e, o), A();
}
Er(["click"]);
// src/parts/LineChart.svelte
var ul = /* @__PURE__ */ G("<line stroke=\"var(--rule)\" stroke-width=\"1\"></line><text text-anchor=\"end\"> </text>", 1), dl = /* @__PURE__ */ G("<line stroke=\"var(--null)\" stroke-dasharray=\"2 4\"></line>"), fl = /* @__PURE__ */ G("<path fill-opacity=\"0.13\" stroke=\"none\"></path>"), pl = /* @__PURE__ */ G("<circle r=\"2.8\"><title> </title></circle>"), ml = /* @__PURE__ */ G("<path fill=\"none\" stroke-width=\"2\"></path><!>", 1), hl = /* @__PURE__ */ G("<text> </text>"), gl = /* @__PURE__ */ G("<a><!></a>"), _l = /* @__PURE__ */ G("<text text-anchor=\"middle\"> </text>"), vl = /* @__PURE__ */ G("<!><!>", 1), yl = /* @__PURE__ */ G("<svg role=\"group\"><text x=\"0\" y=\"11\"> </text><!><!><!><!><!></svg>");
function bl(e, t) {
	k(t, !0);
	let n = Gi(t, "names", 3, null), r = Gi(t, "xAxis", 3, ""), i = Gi(t, "range", 3, null), a = Gi(t, "marks", 19, () => []), o = /* @__PURE__ */ j(() => Math.max(0, ...(n() ?? []).map((e) => e.length))), s = /* @__PURE__ */ j(() => n() !== null && H(o) * 6.2 * n().length > 362), c = /* @__PURE__ */ j(() => H(s) ? Math.min(110, 22 + H(o) * 4.6) : r() ? 40 : 26), l = /* @__PURE__ */ j(() => t.x ?? (n() ?? []).map((e, t) => t)), u = /* @__PURE__ */ j(() => mc([Math.min(...H(l)), Math.max(...H(l), Math.min(...H(l)) + 1e-9)], [54, 400])), d = /* @__PURE__ */ j(() => t.lines.flatMap((e) => [
		...e.values,
		...e.low ?? [],
		...e.high ?? [],
		...a().map((e) => e.value)
	]).filter((e) => e !== null && Number.isFinite(e))), f = /* @__PURE__ */ j(() => mc(i() ?? [Math.min(0, ...H(d)), Math.max(...H(d), 1e-9)], [250 - H(c), 24]).nice(5)), p = (e, t) => {
		let n = e?.[t];
		return n != null && Number.isFinite(n);
	}, m = /* @__PURE__ */ j(() => Lc().x((e) => H(u)(H(l)[e] ?? 0))), h = (e) => H(m).defined((t) => p(e.values, t)).y((t) => H(f)(e.values[t] ?? 0))(H(l).map((e, t) => t)), g = (e) => Rc().defined((t) => p(e.low, t) && p(e.high, t)).x((e) => H(u)(H(l)[e] ?? 0)).y0((t) => H(f)(e.low?.[t] ?? 0)).y1((t) => H(f)(e.high?.[t] ?? 0))(H(l).map((e, t) => t)), _ = /* @__PURE__ */ j(() => `${t.title}. ${t.lines.map((e) => `${e.label}: ${e.values.map((e) => $(e)).join(", ")}`).join(". ")}`);
	{
		let i = /* @__PURE__ */ j(() => t.lines.map((e) => ({
			label: e.label,
			colour: e.colour,
			dashed: e.dashed
		})));
		ll(e, {
			get title() {
				return t.title;
			},
			get legend() {
				return H(i);
			},
			children: (e, i) => {
				var o = yl();
				Z(o, "viewBox", "0 0 420 250");
				var d = F(o), p = L(d, !0), m = R(d);
				X(m, 17, () => H(f).ticks(5), Y, (e, t) => {
					var n = ul(), r = I(n);
					Z(r, "x1", 44), Z(r, "x2", 406);
					var i = R(r);
					Z(i, "x", 37);
					var a = L(i, !0);
					z((e, t, n, o) => {
						Z(r, "y1", e), Z(r, "y2", t), Z(i, "y", n), q(a, o);
					}, [
						() => H(f)(H(t)),
						() => H(f)(H(t)),
						() => H(f)(H(t)) + 4,
						() => $(H(t))
					]), K(e, n);
				});
				var v = R(m);
				X(v, 17, a, Y, (e, t) => {
					var n = dl();
					Z(n, "x1", 44), Z(n, "x2", 406), z((e, t) => {
						Z(n, "y1", e), Z(n, "y2", t);
					}, [() => H(f)(H(t).value), () => H(f)(H(t).value)]), K(e, n);
				});
				var y = R(v);
				X(y, 17, () => t.lines, Y, (e, t) => {
					var n = Ir(), r = I(n), i = (e) => {
						var n = fl();
						z((e) => {
							Z(n, "d", e), Z(n, "fill", H(t).colour);
						}, [() => g(H(t))]), K(e, n);
					};
					J(r, (e) => {
						H(t).low && H(t).high && e(i);
					}), K(e, n);
				});
				var b = R(y);
				X(b, 17, () => t.lines, Y, (e, t) => {
					var r = ml(), i = I(r);
					X(R(i), 17, () => H(t).values, Y, (e, r, i) => {
						var a = Ir(), o = I(a), s = (e) => {
							var a = pl(), o = L(F(a));
							O(a), z((e, n, r, i) => {
								Z(a, "cx", e), Z(a, "cy", n), Z(a, "fill", H(t).colour), q(o, `${r ?? ""}: ${i ?? ""} (${H(t).label ?? ""})`);
							}, [
								() => H(u)(H(l)[i] ?? 0),
								() => H(f)(H(r)),
								() => n()?.[i] ?? $(H(l)[i]),
								() => $(H(r))
							]), K(e, a);
						};
						J(o, (e) => {
							H(r) !== null && H(r) !== void 0 && e(s);
						}), K(e, a);
					}), z((e) => {
						Z(i, "d", e), Z(i, "stroke", H(t).colour), Z(i, "stroke-dasharray", H(t).dashed ? "5 4" : "none");
					}, [() => h(H(t))]), K(e, r);
				});
				var x = R(b), S = (e) => {
					var r = Ir();
					X(I(r), 17, n, Y, (e, n, r) => {
						let i = (e) => {
							var t = hl(), r = L(t, !0);
							z(() => {
								Z(t, "x", H(o)), Z(t, "y", 250 - H(c) + 17), Z(t, "text-anchor", H(s) ? "end" : "middle"), Z(t, "transform", H(s) ? `rotate(-38 ${H(o)} ${250 - H(c) + 14})` : void 0), q(r, H(n));
							}), K(e, t);
						}, a = /* @__PURE__ */ j(() => t.open?.(r)), o = /* @__PURE__ */ j(() => H(u)(H(l)[r] ?? 0));
						var d = Ir(), f = I(d), p = (e) => {
							var t = gl(), r = F(t);
							i(r), O(t), z(() => {
								Z(t, "href", H(a)), Z(t, "aria-label", `Modes of ${H(n)}`);
							}), K(e, t);
						}, m = (e) => {
							i(e);
						};
						J(f, (e) => {
							H(a) ? e(p) : e(m, -1);
						}), K(e, d);
					}), K(e, r);
				}, ee = (e) => {
					var t = vl(), n = I(t);
					X(n, 17, () => H(u).ticks(5), Y, (e, t) => {
						var n = _l(), r = L(n, !0);
						z((e, t) => {
							Z(n, "x", e), Z(n, "y", 250 - H(c) + 17), q(r, t);
						}, [() => H(u)(H(t)), () => $(H(t))]), K(e, n);
					});
					var i = R(n), a = (e) => {
						var t = _l();
						Z(t, "x", 225), Z(t, "y", 247);
						var n = L(t, !0);
						z(() => q(n, r())), K(e, t);
					};
					J(i, (e) => {
						r() && e(a);
					}), K(e, t);
				};
				J(x, (e) => {
					n() ? e(S) : e(ee, -1);
				}), O(o), z(() => {
					Z(o, "aria-label", H(_)), q(p, t.axis);
				}), K(e, o);
			},
			$$slots: { default: !0 }
		});
	}
	A();
}
// src/parts/CurveCharts.svelte
var xl = /* @__PURE__ */ W("<section><h3> </h3> <p> </p> <div class=\"charts\"><!> <!></div></section>");
function Sl(e, t) {
	k(t, !0);
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
	], r = /* @__PURE__ */ j(() => t.curve.kind === "ablate" ? "ablated" : t.curve.kind === "preserve" ? "preserved" : t.curve.kind), i = (e) => t.curve.conditions.map((t, r) => ({
		label: r ? t.name : `mode (${t.name})`,
		colour: n[r % n.length] ?? "var(--null)",
		values: t[e].value,
		low: r ? null : t[e].low,
		high: r ? null : t[e].high,
		dashed: r > 0
	}));
	var a = xl(), o = F(a), s = L(o), c = R(o, 2), l = L(c, !0), u = R(c, 2), d = F(u);
	{
		let e = /* @__PURE__ */ j(() => `Accuracy of ${t.curve.class}`), n = /* @__PURE__ */ j(() => `fraction of units ${H(r)}`), a = /* @__PURE__ */ j(() => i("target")), o = /* @__PURE__ */ j(() => [{
			value: t.curve.before.target,
			label: "intact"
		}]);
		bl(d, {
			get title() {
				return H(e);
			},
			axis: "accuracy",
			get x() {
				return t.curve.fractions;
			},
			get xAxis() {
				return H(n);
			},
			range: [0, 1],
			get lines() {
				return H(a);
			},
			get marks() {
				return H(o);
			}
		});
	}
	var f = R(d, 2);
	{
		let e = /* @__PURE__ */ j(() => `fraction of units ${H(r)}`), n = /* @__PURE__ */ j(() => i("others")), a = /* @__PURE__ */ j(() => [{
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
				return H(e);
			},
			range: [0, 1],
			get lines() {
				return H(n);
			},
			get marks() {
				return H(a);
			}
		});
	}
	O(u), O(a), z(() => {
		q(s, `${t.curve.class ?? ""}: units ${H(r) ?? ""} at ${t.curve.site ?? ""}`), q(l, t.curve.sentence);
	}), K(e, a), A();
}
// src/parts/Words.svelte
var Cl = /* @__PURE__ */ W("<code> </code>");
function wl(e, t) {
	k(t, !0);
	var n = Ir();
	X(I(n), 17, () => aa(t.text), Y, (e, t) => {
		var n = Ir(), r = I(n), i = (e) => {
			var n = Cl(), r = L(n, !0);
			z(() => q(r, H(t).text)), K(e, n);
		}, a = (e) => {
			var n = Fr();
			z(() => q(n, H(t).text)), K(e, n);
		};
		J(r, (e) => {
			H(t).code ? e(i) : e(a, -1);
		}), K(e, n);
	}), K(e, n), A();
}
// src/views/Control.svelte
var Tl = /* @__PURE__ */ W("<option> </option>"), El = /* @__PURE__ */ W("<label>Units are <select></select></label>"), Dl = /* @__PURE__ */ W("<label>Class <select></select></label>"), Ol = /* @__PURE__ */ W("<li><!></li>"), kl = /* @__PURE__ */ W("<h2>Over all classes</h2> <ul class=\"findings\"></ul>", 1), Al = /* @__PURE__ */ W("<h2>Removed, and alone</h2> <!>", 1), jl = /* @__PURE__ */ W("<p class=\"lead\">More and more units are ablated, or only they are preserved, from the strongest of a mode down. Controls choose the same number of units in another way.</p> <div class=\"controls\"><label>Site <select></select></label> <!> <!></div> <!> <p><!></p> <!> <!> <!>", 1), Ml = /* @__PURE__ */ W("<h1>What modes do</h1> <!> <!>", 1);
function Nl(e, t) {
	k(t, !0);
	let n = /* @__PURE__ */ j(() => t.data.sites.find((e) => e.site === t.query.site) ?? t.data.sites[0]), r = /* @__PURE__ */ j(() => [...new Set(H(n)?.curves.map((e) => e.kind) ?? [])]), i = /* @__PURE__ */ j(() => t.query.kind && H(r).includes(t.query.kind) ? t.query.kind : H(r)[0]), a = /* @__PURE__ */ j(() => H(n)?.curves.filter((e) => e.kind === H(i)) ?? []), o = /* @__PURE__ */ j(() => H(a).find((e) => e.class === t.query.class) ?? H(a)[0]), s = (e) => t.go(Q("control", [], {
		...t.query,
		...e
	}), !0), c = (e) => ({
		columns: Object.keys(e[0] ?? {}),
		rows: e.map((e) => Object.values(e))
	});
	var l = Ml(), u = R(I(l), 2);
	ea(u, {
		what: "control curves",
		get command() {
			return t.data.missing;
		}
	});
	var d = R(u, 2), f = (e) => {
		var l = jl(), u = R(I(l), 2), d = F(u), f = R(F(d));
		X(f, 21, () => t.data.sites, Y, (e, t) => {
			var n = Tl(), r = L(n, !0), i = {};
			z(() => {
				q(r, H(t).site), i !== (i = H(t).site) && (n.__value = i);
			}), K(e, n);
		}), O(f);
		var p;
		xi(f), O(d);
		var m = R(d, 2), h = (e) => {
			var t = El(), n = R(F(t));
			X(n, 21, () => H(r), Y, (e, t) => {
				var n = Tl(), r = L(n, !0), i = {};
				z(() => {
					q(r, H(t)), i !== (i = H(t)) && (n.__value = i);
				}), K(e, n);
			}), O(n);
			var a;
			xi(n), O(t), z(() => {
				a !== (a = H(i)) && (n.value = (n.__value = a) ?? "", bi(n, a));
			}), U("change", n, (e) => s({ kind: e.currentTarget.value })), K(e, t);
		};
		J(m, (e) => {
			H(r).length > 1 && e(h);
		});
		var g = R(m, 2), _ = (e) => {
			var t = Dl(), n = R(F(t));
			X(n, 21, () => H(a), Y, (e, t) => {
				var n = Tl(), r = L(n, !0), i = {};
				z(() => {
					q(r, H(t).class), i !== (i = H(t).class) && (n.__value = i);
				}), K(e, n);
			}), O(n);
			var r;
			xi(n), O(t), z(() => {
				r !== (r = H(o)?.class) && (n.value = (n.__value = r) ?? "", bi(n, r));
			}), U("change", n, (e) => s({ class: e.currentTarget.value })), K(e, t);
		};
		J(g, (e) => {
			H(a).length > 1 && e(_);
		}), O(u);
		var v = R(u, 2), y = (e) => {
			Sl(e, { get curve() {
				return H(o);
			} });
		};
		J(v, (e) => {
			H(o) && e(y);
		});
		var b = R(v, 2);
		ga(F(b), { get code() {
			return t.data.python;
		} }), O(b);
		var x = R(b, 2), S = (e) => {
			var t = kl(), r = R(I(t), 2);
			X(r, 21, () => H(n).sentences, Y, (e, t) => {
				var n = Ol();
				wl(F(n), { get text() {
					return H(t);
				} }), O(n), K(e, n);
			}), O(r), K(e, t);
		};
		J(x, (e) => {
			H(n).sentences.length && e(S);
		});
		var ee = R(x, 2), C = (e) => {
			let t = /* @__PURE__ */ j(() => c(H(n).comparisons));
			{
				let r = /* @__PURE__ */ j(() => `Modes and controls at ${H(n).site}`);
				Ca(e, {
					get title() {
						return H(r);
					},
					get columns() {
						return H(t).columns;
					},
					get rows() {
						return H(t).rows;
					}
				});
			}
		};
		J(ee, (e) => {
			H(n).comparisons.length && e(C);
		});
		var te = R(ee, 2), w = (e) => {
			let t = /* @__PURE__ */ j(() => c(H(n).necessity));
			var r = Al(), i = R(I(r), 2);
			{
				let e = /* @__PURE__ */ j(() => `Effects of modes at ${H(n).site}`);
				Ca(i, {
					get title() {
						return H(e);
					},
					get columns() {
						return H(t).columns;
					},
					get rows() {
						return H(t).rows;
					},
					links: (e, r) => H(t).columns[r] === "mode" ? Q("mode", [H(n).site, Number(H(t).rows[e]?.[r])]) : null
				});
			}
			K(e, r);
		};
		J(te, (e) => {
			H(n).necessity?.length && e(w);
		}), z(() => {
			p !== (p = H(n).site) && (f.value = (f.__value = p) ?? "", bi(f, p));
		}), U("change", f, (e) => s({ site: e.currentTarget.value })), K(e, l);
	};
	J(d, (e) => {
		H(n) && e(f);
	}), K(e, l), A();
}
Er(["change"]);
// src/lib/flow.ts
var Pl = 230, Fl = 30, Il = 30, Ll = 9, Rl = 460, zl = 11;
function Bl(e, t, n) {
	let r = [...new Set(e.pairs.flatMap((e) => [e.source, e.sink]))], i = new Map(r.map((e, t) => [e, t])), a = e.pairs.flatMap((e) => e.edges.filter((e) => e.from !== null && e.to !== null).filter((t) => !n || Hl(e, t, n, r)).slice(0, t).map((t) => ({
		...t,
		from: t.from,
		to: t.to,
		source: e.source,
		sink: e.sink
	}))), o = (e, t) => `${i.get(e)}/${t}`, s = Ul(a, n, o), c = /* @__PURE__ */ new Map(), l = (e, t) => {
		let n = o(e, t), r = c.get(n);
		return r || c.set(n, r = {
			site: e,
			mode: t,
			into: 0,
			out: 0
		}), r;
	};
	for (let e of a) l(e.source, e.from).out += e.share, l(e.sink, e.to).into += e.share;
	let u = [], d = /* @__PURE__ */ new Map(), f = 0, p = Rl / Math.max(1e-12, ...r.map((e) => [...c.values()].filter((t) => t.site === e).reduce((e, t) => e + Math.max(t.into, t.out), 0)));
	r.forEach((t, i) => {
		let a = Il, l = [...c.values()].filter((e) => e.site === t);
		l.sort((e, t) => Math.max(t.into, t.out) - Math.max(e.into, e.out) || e.mode - t.mode);
		for (let c of l) {
			let l = e.names[t]?.[String(c.mode)] ?? "", f = {
				site: t,
				mode: c.mode,
				name: l,
				label: Vl(`${c.mode}${l ? ` · ${l}` : ""}`),
				x: Fl + i * Pl,
				y: a,
				height: Math.max(zl, Math.max(c.into, c.out) * p),
				right: i > 0 && i === r.length - 1,
				lit: !n || s.has(o(t, c.mode))
			};
			u.push(f), d.set(o(t, c.mode), f), a += f.height + Ll;
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
		width: 60 + (r.length - 1) * Pl,
		height: f + 6,
		columns: r.map((e, t) => ({
			site: e,
			x: Fl + t * Pl
		})),
		nodes: u,
		edges: g
	};
}
var Vl = (e) => e.length > 22 ? `${e.slice(0, 21)}…` : e;
function Hl(e, t, n, r) {
	return e.source === n.site ? t.from === n.mode : e.sink !== n.site || t.to === n.mode;
}
function Ul(e, t, n) {
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
var Wl = /* @__PURE__ */ W("<li></li>"), Gl = /* @__PURE__ */ W("<button>Show all modes</button>"), Kl = /* @__PURE__ */ G("<text y=\"14\" class=\"strong\" text-anchor=\"middle\"> </text>"), ql = /* @__PURE__ */ G("<path fill=\"none\"><title> </title></path>"), Jl = /* @__PURE__ */ G("<a><rect width=\"8\" rx=\"2\" fill=\"var(--ink)\"></rect><text class=\"strong\"> </text></a>"), Yl = /* @__PURE__ */ G("<svg role=\"group\" aria-label=\"Modes of each site as columns, the flow between them as bands\"><!><!><!></svg>"), Xl = /* @__PURE__ */ W("<a> </a>"), Zl = /* @__PURE__ */ W("<ul class=\"findings\"></ul> <div class=\"controls\"><label> <input type=\"range\" min=\"4\" max=\"80\"/></label> <!></div> <div class=\"scroll\" role=\"region\" aria-label=\"Flow chart\" tabindex=\"0\"><div><!></div></div> <p class=\"small\">A band is the part of the target that passes through both modes; its width is the mean size over samples. Select a mode to follow it. <!> <!></p> <h2>Largest flows</h2> <!>", 1), Ql = /* @__PURE__ */ W("<h1>Flow between modes</h1> <!> <!>", 1);
function $l(e, t) {
	k(t, !0);
	let n = /* @__PURE__ */ j(() => Math.max(4, Math.min(80, Number(t.query.most ?? 16) || 16))), r = /* @__PURE__ */ j(() => t.query.site && t.query.mode !== void 0 ? {
		site: t.query.site,
		mode: Number(t.query.mode)
	} : null), i = /* @__PURE__ */ j(() => Bl(t.data, H(n), H(r))), a = (e) => t.go(Q("flow", [], {
		...t.query,
		...e
	}), !0);
	var o = Ql(), s = R(I(o), 2);
	ea(s, {
		what: "flow between modes",
		get command() {
			return t.data.missing;
		}
	});
	var c = R(s, 2), l = (e) => {
		var o = Zl(), s = I(o);
		X(s, 21, () => t.data.sentences.slice(1, 4), Y, (e, t) => {
			var n = Wl();
			X(n, 21, () => aa(H(t)), Y, (e, t) => {
				Ee();
				var n = Fr();
				z(() => q(n, H(t).text)), K(e, n);
			}), O(n), K(e, n);
		}), O(s);
		var c = R(s, 2), l = F(c), u = F(l), d = R(u);
		ki(d), O(l);
		var f = R(l, 2), p = (e) => {
			var t = Gl();
			U("click", t, () => a({
				site: "",
				mode: ""
			})), K(e, t);
		};
		J(f, (e) => {
			H(r) && e(p);
		}), O(c);
		var m = R(c, 2), h = F(m);
		let g;
		var _ = F(h);
		{
			let e = /* @__PURE__ */ j(() => H(r) ? `Flow through mode ${H(r).mode} of ${H(r).site}` : "Which modes drive which");
			ll(_, {
				get title() {
					return H(e);
				},
				level: 2,
				children: (e, n) => {
					var r = Yl(), a = F(r);
					X(a, 17, () => H(i).columns, Y, (e, t) => {
						var n = Kl(), r = L(n, !0);
						z(() => {
							Z(n, "x", H(t).x), q(r, H(t).site);
						}), K(e, n);
					});
					var o = R(a);
					X(o, 17, () => H(i).edges, Y, (e, n) => {
						var r = ql(), i = L(F(r));
						O(r), z((e, a) => {
							Z(r, "d", H(n).path), Z(r, "stroke", H(n).flow >= 0 ? "var(--for)" : "var(--against)"), Z(r, "stroke-opacity", H(n).lit ? .55 : .12), Z(r, "stroke-width", H(n).width), q(i, `${H(n).words ?? ""}: ${e ?? ""}${t.unit ?? ""}, ${a ?? ""} of all`);
						}, [() => na(H(n).flow, 3), () => ra(H(n).share)]), K(e, r);
					}), X(R(o), 17, () => H(i).nodes, Y, (e, n) => {
						var r = Jl(), i = F(r), a = R(i), o = L(a, !0);
						O(r), z((e, t) => {
							Z(r, "href", e), Z(r, "aria-label", t), Z(i, "x", H(n).x - 4), Z(i, "y", H(n).y), Z(i, "height", H(n).height), Z(i, "opacity", H(n).lit ? 1 : .3), Z(a, "x", H(n).right ? H(n).x - 9 : H(n).x + 9), Z(a, "y", H(n).y + H(n).height / 2 + 4), Z(a, "text-anchor", H(n).right ? "end" : "start"), Z(a, "opacity", H(n).lit ? 1 : .4), q(o, H(n).label);
						}, [() => Q("flow", [], {
							...t.query,
							site: H(n).site,
							mode: H(n).mode
						}), () => `Follow mode ${H(n).mode} of ${H(n).site}, ${ia(H(n).name)}`]), K(e, r);
					}), O(r), z(() => Z(r, "viewBox", `0 0 ${H(i).width} ${H(i).height}`)), K(e, r);
				},
				$$slots: { default: !0 }
			});
		}
		O(h), O(m);
		var v = R(m, 2), y = R(F(v));
		ga(y, { get code() {
			return t.data.python;
		} });
		var b = R(y, 2), x = (e) => {
			var t = Xl(), n = L(t);
			z((e) => {
				Z(t, "href", e), q(n, `Open mode ${H(r).mode ?? ""} of ${H(r).site ?? ""}`);
			}, [() => Q("mode", [H(r).site, H(r).mode])]), K(e, t);
		};
		J(b, (e) => {
			H(r) && e(x);
		}), O(v);
		var S = R(v, 4);
		{
			let e = /* @__PURE__ */ j(() => H(i).edges.map((e) => [
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
					return H(e);
				},
				links: (e, t) => {
					let n = H(i).edges[e];
					return n ? t === 1 ? Q("mode", [n.source, n.from]) : t === 3 ? Q("mode", [n.sink, n.to]) : null : null;
				}
			});
		}
		z(() => {
			q(u, `Largest flows between two sites: ${H(n) ?? ""} `), Ai(d, H(n)), g = _i(h, "", g, { "min-width": `${H(i).columns.length * 190}px` });
		}), U("input", d, (e) => a({ most: e.currentTarget.value })), K(e, o);
	};
	J(c, (e) => {
		t.data.pairs.length && e(l);
	}), K(e, o), A();
}
Er(["input", "click"]);
// src/views/Layers.svelte
var eu = /* @__PURE__ */ W("<li><!></li>"), tu = /* @__PURE__ */ W("<h1>From layer to layer</h1> <ul class=\"findings\"></ul> <div class=\"charts\"></div> <p class=\"small\">Shaded areas are 95 % bootstrap intervals, where these are known. Select a site to see its modes. <!></p> <h2>All numbers</h2> <!>", 1);
function nu(e, t) {
	k(t, !0);
	let n = (e) => ({
		mode: "var(--mode)",
		contribution: "var(--contribution)",
		activation: "var(--activation)",
		null: "var(--null)",
		control: "var(--null)"
	})[e.kind];
	var r = tu(), i = R(I(r), 2);
	X(i, 21, () => t.data.sentences.slice(1), Y, (e, t) => {
		var n = eu();
		wl(F(n), { get text() {
			return H(t);
		} }), O(n), K(e, n);
	}), O(i);
	var a = R(i, 2);
	X(a, 21, () => t.data.charts, Y, (e, r) => {
		{
			let i = /* @__PURE__ */ j(() => H(r).series.map((e) => ({
				...e,
				colour: n(e),
				dashed: e.kind === "null"
			})));
			bl(e, {
				get title() {
					return H(r).title;
				},
				get axis() {
					return H(r).axis;
				},
				get names() {
					return t.data.sites;
				},
				open: (e) => Q("modes", [t.data.sites[e] ?? ""]),
				get lines() {
					return H(i);
				}
			});
		}
	}), O(a);
	var o = R(a, 2);
	_i(o, "", {}, { "margin-top": "1.2rem" }), ga(R(F(o)), { get code() {
		return t.data.python;
	} }), O(o), Ca(R(o, 4), {
		title: "Layer statistics",
		get columns() {
			return t.data.table.columns;
		},
		get rows() {
			return t.data.table.rows;
		}
	}), K(e, r), A();
}
// src/lib/overlay.ts
var ru = [
	217,
	84,
	10
], iu = [
	10,
	95,
	196
];
function au(e) {
	let t = e.length, n = e[0]?.length ?? 0, r = Math.max(1e-30, ...e.flat().map(Math.abs)), i = new Uint8ClampedArray(4 * n * t);
	return e.flat().forEach((e, t) => {
		let n = e >= 0 ? ru : iu;
		i.set([...n, Math.round(215 * Math.sqrt(Math.abs(e) / r))], 4 * t);
	}), {
		width: n,
		height: t,
		data: i
	};
}
function ou(e, t) {
	let { width: n, height: r, data: i } = au(t);
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
var su = /* @__PURE__ */ W("<canvas aria-hidden=\"true\"></canvas>"), cu = /* @__PURE__ */ W("<img loading=\"lazy\" decoding=\"async\"/> <!>", 1), lu = /* @__PURE__ */ W("<span class=\"words\"> </span>"), uu = /* @__PURE__ */ W("<span class=\"picture\"><!></span>");
function du(e, t) {
	k(t, !0);
	let n = Gi(t, "row", 3, null), r = Gi(t, "at", 3, null), i = Gi(t, "side", 3, 192), a = Gi(t, "alt", 3, ""), o = Gi(t, "map", 3, null), s = Gi(t, "words", 3, ""), c = Je("source"), l = /* @__PURE__ */ j(() => r() ?? (n() === null || n() < 0 ? null : c.picture(n(), i()))), u = /* @__PURE__ */ N(!1), d = /* @__PURE__ */ N(!1), f = /* @__PURE__ */ N(void 0);
	Cn(() => {
		H(f) && o() && ou(H(f), o());
	}), Cn(() => {
		H(l), P(d, !1);
	});
	var p = uu(), m = F(p), h = (e) => {
		var t = cu(), n = I(t);
		let r;
		var i = R(n, 2), s = (e) => {
			var t = su();
			Hi(t, (e) => P(f, e), () => H(f)), K(e, t);
		};
		J(i, (e) => {
			o() && e(s);
		}), z(() => {
			Z(n, "src", H(l)), Z(n, "alt", a()), r = hi(n, 1, "", null, r, { coarse: H(u) });
		}), Tr("load", n, (e) => P(u, e.currentTarget.naturalWidth <= 64)), Tr("error", n, () => P(d, !0)), Cr(n), K(e, t);
	}, g = (e) => {
		var t = lu(), n = L(t, !0);
		z(() => q(n, s())), K(e, t);
	};
	J(m, (e) => {
		H(l) && !H(d) ? e(h) : s() && e(g, 1);
	}), O(p), K(e, p), A();
}
// src/views/Mode.svelte
var fu = /* @__PURE__ */ W("<a> </a>"), pu = /* @__PURE__ */ W("<li><b> </b><span> </span></li>"), mu = /* @__PURE__ */ W("<li><b> </b><span>stability over fits</span></li>"), hu = /* @__PURE__ */ W("<p class=\"small\"> </p>"), gu = /* @__PURE__ */ W("<p> </p>"), _u = /* @__PURE__ */ W("<label class=\"small\"><input type=\"checkbox\"/> show where it acts: orange supports the target, blue opposes it</label>"), vu = /* @__PURE__ */ W("<li><a><!> <div class=\"about\"> </div></a></li>"), yu = /* @__PURE__ */ W("<!> <ul class=\"gallery\"></ul> <p class=\"small\">Under each picture: its class, and the loading, which says how active the mode is.</p>", 1), bu = /* @__PURE__ */ W("<p>This mode is active in no sample.</p>"), xu = /* @__PURE__ */ G("<text x=\"48\" text-anchor=\"end\" class=\"strong\"> </text><rect height=\"12\" fill=\"var(--for)\"><title> </title></rect><rect height=\"12\" fill=\"var(--against)\"><title> </title></rect>", 1), Su = /* @__PURE__ */ G("<svg role=\"img\"><!><line y1=\"0\" stroke=\"var(--faint)\"></line></svg>"), Cu = /* @__PURE__ */ G("<line x1=\"34\" x2=\"400\" stroke=\"var(--rule)\"></line><text x=\"28\" text-anchor=\"end\"> </text>", 1), wu = /* @__PURE__ */ G("<rect fill=\"var(--mode)\"></rect>"), Tu = /* @__PURE__ */ G("<text y=\"166\" text-anchor=\"middle\"> </text>"), Eu = /* @__PURE__ */ G("<svg viewBox=\"0 0 420 190\" role=\"img\"><!><!><!><text x=\"217\" y=\"185\" text-anchor=\"middle\">loading</text></svg>"), Du = /* @__PURE__ */ W("<section><h2>Classes</h2> <!></section>"), Ou = /* @__PURE__ */ W("<section><h3> </h3> <!></section>"), ku = /* @__PURE__ */ W("<section><h2>Flow</h2> <div class=\"columns\"></div> <p class=\"small\"><a>Follow this mode from site to site</a></p></section>"), Au = /* @__PURE__ */ W("<section><h2>What it does</h2> <!> <!></section>"), ju = /* @__PURE__ */ W("<section><h2>Your name and notes</h2> <form><div class=\"controls\"><label>Name <input maxlength=\"120\"/></label></div> <label class=\"small\" for=\"note\">Notes</label> <textarea id=\"note\" maxlength=\"4000\"></textarea> <p><button class=\"primary\" type=\"submit\">Save</button> <span class=\"small\" role=\"status\"> </span></p></form></section>"), Mu = /* @__PURE__ */ W("<p class=\"kicker\"><a> </a> </p> <h1> </h1> <p class=\"small\"><!> <!> <!> <!></p> <ul class=\"numbers\"><li><b> </b><span>of what modes explain</span></li> <li><b> </b><span> </span></li> <!> <!> <!></ul> <!> <!> <section><h2>Where it is most active</h2> <!></section> <div class=\"columns\"><section><h2>Hidden units</h2> <p class=\"small\"> </p> <!> <p class=\"small\"> </p></section> <section><h2>Loadings</h2> <p class=\"small\"> </p> <!></section></div> <!> <!> <!> <!> <!>", 1);
function Nu(e, t) {
	k(t, !0);
	let n = Je("source"), r = /* @__PURE__ */ N(null), i = /* @__PURE__ */ N(!0), a = /* @__PURE__ */ N(""), o = /* @__PURE__ */ N(""), s = /* @__PURE__ */ N(""), c = /* @__PURE__ */ N("");
	Cn(() => {
		let { site: e, mode: i } = t.data;
		P(r, null), P(a, ""), P(o, t.data.given_name, !0), P(s, t.data.given_note, !0), P(c, ""), n.maps(e, i).then((n) => {
			t.data.site === e && t.data.mode === i && P(r, n, !0);
		}, (e) => P(a, e.message, !0));
	});
	let l = (e) => {
		let t = H(r)?.rows.indexOf(e) ?? -1;
		return H(i) && H(r) && t >= 0 ? H(r).maps[t] ?? null : null;
	};
	async function u(e) {
		e.preventDefault();
		try {
			await n.note?.(t.data.site, t.data.mode, {
				name: H(o),
				note: H(s)
			}), P(c, "Saved."), t.reload();
		} catch (e) {
			P(c, e.message, !0);
		}
	}
	let d = /* @__PURE__ */ j(() => t.data.units), f = /* @__PURE__ */ j(() => Math.max(1e-12, ...H(d).positive, ...H(d).negative.map((e) => -e))), p = /* @__PURE__ */ j(() => mc([-H(f), H(f)], [60, 380])), m = /* @__PURE__ */ j(() => mc([0, t.data.histogram.edges.at(-1) ?? 1], [34, 400])), g = /* @__PURE__ */ j(() => mc([0, Math.max(1, ...t.data.histogram.counts)], [150, 18])), _ = (e) => e.map((e) => [
		e.mode === null ? `${e.site}: no mode` : `${e.site}: ${e.mode} · ${ia(e.name)}`,
		na(e.flow, 3),
		ra(e.share)
	]), v = (e) => (t, n) => {
		let r = e[t];
		return n === 0 && r && r.mode !== null ? Q("mode", [r.site, r.mode]) : null;
	};
	var y = Mu(), b = I(y), x = F(b), S = L(x, !0), ee = R(x);
	O(b);
	var C = R(b, 2), te = L(C, !0), w = R(C, 2), ne = F(w), re = (e) => {
		var n = fu(), r = L(n);
		z((e) => {
			Z(n, "href", e), q(r, `← mode ${t.data.mode - 1}`);
		}, [() => Q("mode", [t.data.site, t.data.mode - 1])]), K(e, n);
	};
	J(ne, (e) => {
		t.data.mode > 0 && e(re);
	});
	var ie = R(ne, 2), ae = (e) => {
		K(e, Fr("\xA0·\xA0"));
	};
	J(ie, (e) => {
		t.data.mode > 0 && t.data.mode + 1 < t.data.of && e(ae);
	});
	var oe = R(ie, 2), se = (e) => {
		var n = fu(), r = L(n);
		z((e) => {
			Z(n, "href", e), q(r, `mode ${t.data.mode + 1} →`);
		}, [() => Q("mode", [t.data.site, t.data.mode + 1])]), K(e, n);
	};
	J(oe, (e) => {
		t.data.mode + 1 < t.data.of && e(se);
	}), ga(R(oe, 2), { get code() {
		return t.data.python;
	} }), O(w);
	var ce = R(w, 2), le = F(ce), ue = L(F(le), !0);
	Ee(), O(le);
	var de = R(le, 2), fe = F(de), pe = L(fe, !0), me = L(R(fe));
	O(de);
	var he = R(de, 2), ge = (e) => {
		var n = pu(), r = F(n), i = L(r, !0), a = L(R(r));
		O(n), z((e) => {
			q(i, e), q(a, `correlation with ${t.data.best_class ?? ""}`);
		}, [() => $(t.data.specificity, 2)]), K(e, n);
	};
	J(he, (e) => {
		t.data.best_class && e(ge);
	});
	var T = R(he, 2), _e = (e) => {
		var n = mu(), r = L(F(n), !0);
		Ee(), O(n), z((e) => q(r, e), [() => $(t.data.stability, 2)]), K(e, n);
	};
	J(T, (e) => {
		t.data.stability !== null && e(_e);
	});
	var ve = R(T, 2), ye = (e) => {
		var n = pu(), r = F(n), i = L(r, !0), a = L(R(r));
		O(n), z((e) => {
			hi(r, 1, li(t.data.effect >= 0 ? "for" : "against")), q(i, e), q(a, `${t.unit ?? ""} measured effect`);
		}, [() => na(t.data.effect)]), K(e, n);
	};
	J(ve, (e) => {
		t.data.effect !== null && e(ye);
	}), O(ce);
	var be = R(ce, 2), xe = (e) => {
		var n = hu(), r = L(n);
		z(() => q(r, `You named this mode. By its classes it is called “${t.data.computed_name ?? ""}”.`)), K(e, n);
	};
	J(be, (e) => {
		t.data.given_name && t.data.computed_name && e(xe);
	});
	var Se = R(be, 2), E = (e) => {
		var n = gu(), r = L(n, !0);
		z(() => q(r, t.data.given_note)), K(e, n);
	};
	J(Se, (e) => {
		t.data.given_note && e(E);
	});
	var Ce = R(Se, 2), D = R(F(Ce), 2), we = (e) => {
		var n = yu(), o = I(n), s = (e) => {
			var t = _u(), n = F(t);
			ki(n), Ee(), O(t), Ii(n, () => H(i), (e) => P(i, e)), K(e, t);
		}, c = (e) => {
			var t = hu(), n = L(t, !0);
			z(() => q(n, H(a))), K(e, t);
		};
		J(o, (e) => {
			H(r)?.rows.length ? e(s) : H(a) && e(c, 1);
		});
		var u = R(o, 2);
		_i(u, "", {}, { "margin-top": "0.7rem" }), X(u, 21, () => t.data.exemplars, (e) => e.row, (e, t) => {
			var n = vu(), r = F(n), i = F(r);
			{
				let e = /* @__PURE__ */ j(() => l(H(t).row));
				du(i, {
					get row() {
						return H(t).row;
					},
					side: 384,
					get map() {
						return H(e);
					},
					get words() {
						return H(t).key;
					}
				});
			}
			var a = L(R(i, 2));
			O(r), O(n), z((e, n) => {
				Z(r, "href", e), q(a, `${H(t).label ?? H(t).key ?? ""} · ${n ?? ""}`);
			}, [() => Q("sample", [H(t).row]), () => $(H(t).loading, 2)]), K(e, n);
		}), O(u), _i(R(u, 2), "", {}, { "margin-top": "0.5rem" }), K(e, n);
	}, Te = (e) => {
		K(e, bu());
	};
	J(D, (e) => {
		t.data.exemplars.length ? e(we) : e(Te, -1);
	}), O(Ce);
	var De = R(Ce, 2), Oe = F(De), ke = R(F(Oe), 2), Ae = L(ke), je = R(ke, 2);
	ll(je, {
		title: "Strongest units",
		children: (e, t) => {
			var n = Su(), r = F(n);
			X(r, 17, () => H(d).unit, Y, (e, t, n) => {
				let r = /* @__PURE__ */ j(() => n * 19 + 4);
				var i = xu(), a = I(i), o = L(a, !0), s = R(a), c = L(F(s), !0);
				O(s);
				var l = R(s), u = L(F(l), !0);
				O(l), z((e, n, i, d, f, p) => {
					Z(a, "y", H(r) + 12), q(o, H(t)), Z(s, "x", e), Z(s, "y", H(r) + 2), Z(s, "width", n), q(c, i), Z(l, "x", d), Z(l, "y", H(r) + 2), Z(l, "width", f), q(u, p);
				}, [
					() => H(p)(0),
					() => Math.max(0, H(p)(H(d).positive[n] ?? 0) - H(p)(0)),
					() => na(H(d).positive[n], 4),
					() => H(p)(H(d).negative[n] ?? 0),
					() => Math.max(0, H(p)(0) - H(p)(H(d).negative[n] ?? 0)),
					() => na(H(d).negative[n], 4)
				]), K(e, i);
			});
			var i = R(r);
			O(n), z((e, t, r) => {
				Z(n, "viewBox", `0 0 420 ${H(d).unit.length * 19 + 8}`), Z(n, "aria-label", e), Z(i, "x1", t), Z(i, "x2", r), Z(i, "y2", H(d).unit.length * 19 + 6);
			}, [
				() => H(d).unit.map((e, t) => `unit ${e}: ${na((H(d).positive[t] ?? 0) + (H(d).negative[t] ?? 0), 3)}`).join("; "),
				() => H(p)(0),
				() => H(p)(0)
			]), K(e, n);
		},
		$$slots: { default: !0 }
	});
	var Me = L(R(je, 2));
	O(Oe);
	var Ne = R(Oe, 2), Pe = R(F(Ne), 2), Fe = L(Pe), Ie = R(Pe, 2), Le = (e) => {
		ll(e, {
			title: "Histogram of loadings",
			children: (e, n) => {
				var r = Eu(), i = F(r);
				X(i, 17, () => H(g).ticks(4), Y, (e, t) => {
					var n = Cu(), r = I(n), i = R(r), a = L(i, !0);
					z((e, t, n, o) => {
						Z(r, "y1", e), Z(r, "y2", t), Z(i, "y", n), q(a, o);
					}, [
						() => H(g)(H(t)),
						() => H(g)(H(t)),
						() => H(g)(H(t)) + 4,
						() => $(H(t))
					]), K(e, n);
				});
				var a = R(i);
				X(a, 17, () => t.data.histogram.counts, Y, (e, n, r) => {
					let i = /* @__PURE__ */ j(() => H(m)(t.data.histogram.edges[r] ?? 0));
					var a = wu();
					z((e, t, n) => {
						Z(a, "x", H(i) + .5), Z(a, "y", e), Z(a, "width", t), Z(a, "height", n);
					}, [
						() => H(g)(H(n)),
						() => Math.max(.5, H(m)(t.data.histogram.edges[r + 1] ?? 0) - H(i) - 1),
						() => 150 - H(g)(H(n))
					]), K(e, a);
				}), X(R(a), 17, () => H(m).ticks(5), Y, (e, t) => {
					var n = Tu(), r = L(n, !0);
					z((e, t) => {
						Z(n, "x", e), q(r, t);
					}, [() => H(m)(H(t)), () => $(H(t))]), K(e, n);
				}), Ee(), O(r), z((e) => Z(r, "aria-label", e), [() => `Loadings up to ${$(t.data.histogram.edges.at(-1))}`]), K(e, r);
			},
			$$slots: { default: !0 }
		});
	};
	J(Ie, (e) => {
		t.data.histogram.counts.length && e(Le);
	}), O(Ne), O(De);
	var Re = R(De, 2), ze = (e) => {
		var n = Du(), r = R(F(n), 2);
		{
			let e = /* @__PURE__ */ j(() => `Classes of mode ${t.data.mode}`), n = /* @__PURE__ */ j(() => t.data.classes.map((e) => [
				e.class,
				e.correlation,
				ra(e.active),
				e.loading,
				e.samples
			]));
			Ca(r, {
				get title() {
					return H(e);
				},
				columns: [
					"class",
					"correlation",
					"samples active",
					"mean loading",
					"samples"
				],
				get rows() {
					return H(n);
				}
			});
		}
		O(n), K(e, n);
	};
	J(Re, (e) => {
		t.data.classes.length && e(ze);
	});
	var Be = R(Re, 2), Ve = (e) => {
		var n = ku(), r = R(F(n), 2);
		X(r, 21, () => [{
			title: "Comes from",
			ends: t.data.flow.from
		}, {
			title: "Goes to",
			ends: t.data.flow.to
		}], Y, (e, n) => {
			var r = Ir(), i = I(r), a = (e) => {
				var r = Ou(), i = F(r), a = L(i, !0), o = R(i, 2);
				{
					let e = /* @__PURE__ */ j(() => `${H(n).title}, mode ${t.data.mode}`), r = /* @__PURE__ */ j(() => [
						"mode",
						`flow in ${t.unit}`,
						"share of all"
					]), i = /* @__PURE__ */ j(() => _(H(n).ends)), a = /* @__PURE__ */ j(() => v(H(n).ends));
					Ca(o, {
						get title() {
							return H(e);
						},
						get columns() {
							return H(r);
						},
						get rows() {
							return H(i);
						},
						get links() {
							return H(a);
						}
					});
				}
				O(r), z(() => q(a, H(n).title)), K(e, r);
			};
			J(i, (e) => {
				H(n).ends.length && e(a);
			}), K(e, r);
		}), O(r);
		var i = L(R(r, 2));
		O(n), z((e) => Z(i, "href", e), [() => Q("flow", [], {
			site: t.data.site,
			mode: t.data.mode
		})]), K(e, n);
	};
	J(Be, (e) => {
		t.data.flow && (t.data.flow.from.length || t.data.flow.to.length) && e(Ve);
	});
	var He = R(Be, 2), Ue = (e) => {
		var n = Au(), r = R(F(n), 2);
		X(r, 17, () => t.data.control, Y, (e, t) => {
			Sl(e, { get curve() {
				return H(t);
			} });
		});
		var i = R(r, 2), a = (e) => {
			var n = gu(), r = L(n);
			z((e, n, i, a) => q(r, `Removing the mode changes the target by ${e ?? ""} ${t.unit ?? ""}, predicted ${n ?? ""};
        alone it makes ${i ?? ""}, predicted ${a ?? ""}. It ${t.data.necessity.reading ?? ""}.`), [
				() => na(t.data.necessity.removed_measured, 3),
				() => na(t.data.necessity.removed_predicted, 3),
				() => na(t.data.necessity.alone_measured, 3),
				() => na(t.data.necessity.alone_predicted, 3)
			]), K(e, n);
		};
		J(i, (e) => {
			t.data.necessity && e(a);
		}), O(n), K(e, n);
	};
	J(He, (e) => {
		(t.data.control.length || t.data.necessity) && e(Ue);
	});
	var We = R(He, 2), Ge = (e) => {
		var n = ju(), r = R(F(n), 2);
		_i(r, "", {}, { "max-width": "30rem" });
		var i = F(r), a = F(i), l = R(F(a));
		ki(l), O(a), O(i);
		var d = R(i, 4);
		ot(d);
		var f = R(d, 2);
		_i(f, "", {}, { "margin-top": "0.5rem" });
		var p = L(R(F(f), 2), !0);
		O(f), O(r), O(n), z(() => {
			Z(l, "placeholder", t.data.computed_name || "no clear name"), q(p, H(c));
		}), Tr("submit", r, u), Fi(l, () => H(o), (e) => P(o, e)), Fi(d, () => H(s), (e) => P(s, e)), K(e, n);
	};
	J(We, (e) => {
		n.note && e(Ge);
	}), X(R(We, 2), 17, () => Object.entries(t.data.missing), Y, (e, t) => {
		var n = /* @__PURE__ */ j(() => h(H(t), 2));
		let r = () => H(n)[0], i = () => H(n)[1];
		{
			let t = /* @__PURE__ */ j(() => r() === "flow" ? "flow between modes" : "control curves");
			ea(e, {
				get what() {
					return H(t);
				},
				get command() {
					return i();
				}
			});
		}
	}), z((e, n, r, i, a, o, s, c, l) => {
		Z(x, "href", e), q(S, t.data.site), q(ee, ` · mode ${t.data.mode ?? ""} of ${t.data.of ?? ""}`), q(te, n), q(ue, r), q(pe, i), q(me, `of samples (${a ?? ""}) active`), q(Ae, `${o ?? ""} of ${s ?? ""} units take part; ${c ?? ""} half of its strength.`), q(Me, `Contribution of each unit for a loading of 1, in ${t.unit ?? ""}: orange excitation, blue suppression.`), q(Fe, `How active the mode is, over the ${l ?? ""} samples in which it is active.`);
	}, [
		() => Q("modes", [t.data.site]),
		() => ia(t.data.name),
		() => ra(t.data.share),
		() => ra(t.data.firing),
		() => $(t.data.active),
		() => $(H(d).used),
		() => $(H(d).all),
		() => H(d).half === 1 ? "one of them has" : `${$(H(d).half)} of them have`,
		() => $(t.data.active)
	]), K(e, y), A();
}
// src/lib/modes.ts
var Pu = {
	share: "share of the contributions",
	firing: "how often active",
	effect: "measured effect",
	stability: "stability",
	specificity: "class specificity",
	number: "number"
}, Fu = (e) => e !== void 0 && e in Pu;
function Iu(e, t, n, r = !1) {
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
function Lu(e, t, n, r, i = 3) {
	let a = Math.max(0, Math.floor(e / n) - i), o = Math.min(r, Math.ceil((e + t) / n) + i);
	return {
		first: Math.min(a, Math.max(0, o)),
		last: o
	};
}
// src/views/Modes.svelte
var Ru = /* @__PURE__ */ W("<option> </option>"), zu = /* @__PURE__ */ W("<label>Class <select><option>all</option><!></select></label> <label>Specificity at least <input type=\"number\" min=\"0\" max=\"1\" step=\"0.1\"/></label>", 1), Bu = /* @__PURE__ */ W("<label>Stability at least <input type=\"number\" min=\"0\" max=\"1\" step=\"0.1\"/></label>"), Vu = /* @__PURE__ */ W("<label>Effect at least <input type=\"number\" min=\"0\" step=\"0.1\"/></label>"), Hu = /* @__PURE__ */ W("<span class=\"faces\"></span>"), Uu = /* @__PURE__ */ W("<div class=\"card\" role=\"listitem\"><a><!> <span> </span> <span class=\"meta\"><span> </span><span> </span></span></a></div>"), Wu = /* @__PURE__ */ W("<div class=\"grid-box\" role=\"list\" tabindex=\"-1\"><div role=\"presentation\"></div></div>"), Gu = /* @__PURE__ */ W("<div class=\"note\"><p>No mode of this site matches. Remove a filter, or change the search.</p></div>"), Ku = /* @__PURE__ */ W("<h1>Modes</h1> <div class=\"controls\"><label>Site <select></select></label> <label>Search <input type=\"search\" placeholder=\"name or number\"/></label> <label>Sort by <select></select></label> <label>Order <select><option>largest first</option><option>smallest first</option></select></label> <!> <!> <!> <label class=\"row\"><input type=\"checkbox\"/> with a name</label></div> <p class=\"small\" role=\"status\"> <code> </code> <!> <button class=\"plain\">Save as CSV</button></p> <!>", 1);
function qu(e, t) {
	k(t, !0);
	let n = Je("source"), r = /* @__PURE__ */ N(800), i = /* @__PURE__ */ N(600), a = /* @__PURE__ */ N(0), o = /* @__PURE__ */ N(void 0), s = /* @__PURE__ */ j(() => Fu(t.query.sort) ? t.query.sort : "share"), c = /* @__PURE__ */ j(() => t.query.order === "up"), l = /* @__PURE__ */ j(() => ({
		search: t.query.search ?? "",
		cls: t.query.class ? Number(t.query.class) : null,
		named: t.query.named === "1",
		least: {
			...t.query.stability ? { stability: Number(t.query.stability) } : {},
			...t.query.specificity ? { specificity: Number(t.query.specificity) } : {},
			...t.query.effect ? { effect: Number(t.query.effect) } : {}
		}
	})), u = /* @__PURE__ */ j(() => Iu(t.data, H(l), H(s), H(c))), d = /* @__PURE__ */ j(() => n.picture(t.data.faces[0]?.[0] ?? 0, 96) !== null), f = /* @__PURE__ */ j(() => Math.max(1, Math.floor(H(r) / 176))), p = /* @__PURE__ */ j(() => H(d) ? (H(r) / H(f) - 30) / 4 + 84 : 84), m = /* @__PURE__ */ j(() => Math.ceil(H(u).length / H(f))), g = /* @__PURE__ */ j(() => Lu(H(a), H(i), H(p), H(m))), _ = /* @__PURE__ */ j(() => H(u).slice(H(g).first * H(f), H(g).last * H(f))), v = (e) => e.some((e) => e !== null), y = /* @__PURE__ */ j(() => t.data.classes.map((e, t) => ({
		name: e,
		n: t
	})).filter(({ n: e }) => t.data.best.includes(e)));
	function b(e) {
		t.go(Q("modes", [t.data.site], {
			...t.query,
			...e
		}), !0), H(o)?.scrollTo(0, 0);
	}
	function x(e) {
		return H(s) === "firing" ? `active in ${ra(t.data.firing[e])}` : H(s) === "effect" ? `effect ${$(t.data.effect[e])}` : H(s) === "stability" ? `stability ${$(t.data.stability[e], 2)}` : H(s) === "specificity" ? `r = ${$(t.data.specificity[e], 2)}` : `${ra(t.data.share[e])} of all`;
	}
	function S(e) {
		let t = {
			ArrowRight: 1,
			ArrowLeft: -1,
			ArrowDown: H(f),
			ArrowUp: -H(f)
		}[e.key], n = Number(e.target.dataset.place ?? NaN);
		if (t === void 0 || Number.isNaN(n)) return;
		let r = Math.min(H(u).length - 1, Math.max(0, n + t));
		e.preventDefault();
		let a = Math.floor(r / H(f)) * H(p);
		H(o) && (a < H(o).scrollTop || a + H(p) > H(o).scrollTop + H(i)) && H(o).scrollTo(0, Math.max(0, a - H(i) / 2)), setTimeout(() => H(o)?.querySelector(`[data-place="${r}"]`)?.focus(), 30);
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
	], H(u).map((e) => [
		e,
		t.data.names[e],
		t.data.share[e],
		t.data.firing[e],
		t.data.stability[e],
		t.data.specificity[e],
		t.data.classes[t.data.best[e] ?? -1] ?? "",
		t.data.effect[e]
	]), `modes of ${t.data.site}`);
	var C = Ku(), te = R(I(C), 2), w = F(te), ne = R(F(w));
	X(ne, 21, () => t.sites, Y, (e, t) => {
		var n = Ru(), r = L(n, !0), i = {};
		z(() => {
			q(r, H(t)), i !== (i = H(t)) && (n.value = (n.__value = i) ?? "");
		}), K(e, n);
	}), O(ne);
	var re;
	xi(ne), O(w);
	var ie = R(w, 2), ae = R(F(ie));
	ki(ae), O(ie);
	var oe = R(ie, 2), se = R(F(oe));
	X(se, 21, () => Object.entries(Pu), Y, (e, n) => {
		var r = /* @__PURE__ */ j(() => h(H(n), 2));
		let i = () => H(r)[0], a = () => H(r)[1];
		var o = Ir(), s = I(o), c = (e) => {
			var t = Ru(), n = L(t, !0), r = {};
			z(() => {
				q(n, a()), r !== (r = i()) && (t.value = (t.__value = r) ?? "");
			}), K(e, t);
		}, l = /* @__PURE__ */ j(() => i() === "share" || i() === "firing" || i() === "number" || v(t.data[i()]));
		J(s, (e) => {
			H(l) && e(c);
		}), K(e, o);
	}), O(se);
	var ce;
	xi(se), O(oe);
	var le = R(oe, 2), ue = R(F(le)), de = F(ue);
	de.value = de.__value = "down";
	var fe = R(de);
	fe.value = fe.__value = "up", O(ue);
	var pe;
	xi(ue), O(le);
	var me = R(le, 2), he = (e) => {
		var n = zu(), r = I(n), i = R(F(r)), a = F(i);
		a.value = a.__value = "", X(R(a), 17, () => H(y), Y, (e, t) => {
			var n = Ru(), r = L(n, !0), i = {};
			z((e) => {
				q(r, H(t).name), i !== (i = e) && (n.value = (n.__value = i) ?? "");
			}, [() => String(H(t).n)]), K(e, n);
		}), O(i);
		var o;
		xi(i), O(r);
		var s = R(r, 2), c = R(F(s));
		ki(c), O(s), z(() => {
			o !== (o = t.query.class ?? "") && (i.value = (i.__value = o) ?? "", bi(i, o)), Ai(c, t.query.specificity ?? "");
		}), U("change", i, (e) => b({ class: e.currentTarget.value })), U("change", c, (e) => b({ specificity: e.currentTarget.value })), K(e, n);
	};
	J(me, (e) => {
		H(y).length && e(he);
	});
	var ge = R(me, 2), T = (e) => {
		var n = Bu(), r = R(F(n));
		ki(r), O(n), z(() => Ai(r, t.query.stability ?? "")), U("change", r, (e) => b({ stability: e.currentTarget.value })), K(e, n);
	}, _e = /* @__PURE__ */ j(() => v(t.data.stability));
	J(ge, (e) => {
		H(_e) && e(T);
	});
	var ve = R(ge, 2), ye = (e) => {
		var n = Vu(), r = R(F(n));
		ki(r), O(n), z(() => Ai(r, t.query.effect ?? "")), U("change", r, (e) => b({ effect: e.currentTarget.value })), K(e, n);
	}, be = /* @__PURE__ */ j(() => v(t.data.effect));
	J(ve, (e) => {
		H(be) && e(ye);
	});
	var xe = R(ve, 2), Se = F(xe);
	ki(Se), Ee(), O(xe), O(te);
	var E = R(te, 2), Ce = F(E), D = R(Ce), we = L(D, !0), Te = R(D), De = R(Te);
	ga(De, { get code() {
		return t.data.python;
	} });
	var Oe = R(De, 2);
	O(E);
	var ke = R(E, 2), Ae = (e) => {
		var n = Wu(), s = F(n);
		let c;
		X(s, 22, () => H(_), (e) => e, (e, n, i) => {
			let a = /* @__PURE__ */ j(() => H(g).first * H(f) + H(i));
			var o = Uu();
			let s;
			var c = F(o), l = F(c), u = (e) => {
				var r = Hu();
				X(r, 21, () => t.data.faces[n] ?? [], Y, (e, t) => {
					du(e, {
						get row() {
							return H(t);
						},
						side: 96
					});
				}), O(r), K(e, r);
			};
			J(l, (e) => {
				H(d) && e(u);
			});
			var m = R(l, 2);
			let h;
			_i(m, "", {}, { display: "block" });
			var _ = L(m, !0), v = R(m, 2), y = F(v), b = L(y), S = L(R(y), !0);
			O(v), O(c), O(o), z((e, i, l, u) => {
				s = _i(o, "", s, {
					width: `${H(r) / H(f)}px`,
					height: `${H(p)}px`,
					left: `${H(a) % H(f) * (H(r) / H(f))}px`,
					top: e
				}), Z(c, "href", i), Z(c, "data-place", H(a)), h = hi(m, 1, "title", null, h, { none: !t.data.names[n] }), q(_, l), q(b, `mode ${n ?? ""}`), q(S, u);
			}, [
				() => `${Math.floor(H(a) / H(f)) * H(p)}px`,
				() => Q("mode", [t.data.site, n]),
				() => ia(t.data.names[n] ?? ""),
				() => x(n)
			]), K(e, o);
		}), O(s), O(n), Hi(n, (e) => P(o, e), () => H(o)), z(() => {
			Z(n, "aria-label", `Modes of ${t.data.site}`), c = _i(s, "", c, { height: `${H(m) * H(p)}px` });
		}), Tr("scroll", n, (e) => P(a, e.currentTarget.scrollTop, !0)), U("keydown", n, S), Bi(n, "clientWidth", (e) => P(r, e)), Bi(n, "clientHeight", (e) => P(i, e)), K(e, n);
	}, je = (e) => {
		K(e, Gu());
	};
	J(ke, (e) => {
		H(u).length ? e(Ae) : e(je, -1);
	}), z((e, n, r, i, a, o) => {
		re !== (re = t.data.site) && (ne.value = (ne.__value = re) ?? "", bi(ne, re)), Ai(ae, t.query.search ?? ""), ce !== (ce = H(s)) && (se.value = (se.__value = ce) ?? "", bi(se, ce)), pe !== (pe = H(c) ? "up" : "down") && (ue.value = ue.__value = pe, bi(ue, pe)), ji(Se, H(l).named), q(Ce, `${e ?? ""} of ${n ?? ""} modes of `), q(we, t.data.site), q(Te, `: ${r ?? ""} hidden units, ${i ?? ""} samples,
  R² = ${a ?? ""}, ${o ?? ""} active in a sample. `);
	}, [
		() => $(H(u).length),
		() => $(t.data.names.length),
		() => $(t.data.units),
		() => $(t.data.samples),
		() => $(t.data.r2),
		() => $(t.data.l0)
	]), U("change", ne, (e) => t.go(Q("modes", [e.currentTarget.value], {
		...t.query,
		class: ""
	}))), U("input", ae, (e) => b({ search: e.currentTarget.value })), U("change", se, (e) => b({ sort: e.currentTarget.value })), U("change", ue, (e) => b({ order: e.currentTarget.value === "up" ? "up" : "" })), U("change", Se, (e) => b({ named: e.currentTarget.checked ? "1" : "" })), U("click", Oe, ee), K(e, C), A();
}
Er([
	"change",
	"input",
	"click",
	"keydown"
]);
// src/views/Overview.svelte
var Ju = /* @__PURE__ */ W("<li><!></li>"), Yu = /* @__PURE__ */ W("<ul class=\"findings\"></ul>"), Xu = /* @__PURE__ */ W("<div class=\"note\"><p><b> </b> </p></div>"), Zu = /* @__PURE__ */ W("<div class=\"note\"><p> </p></div>"), Qu = /* @__PURE__ */ W("<dt> </dt><dd><!></dd>", 1), $u = /* @__PURE__ */ W("<h1> </h1> <p class=\"lead\"><!></p> <!> <!> <section><h2>Sites</h2> <!> <p class=\"small\">R²: how much of the contributions the modes explain, on held-out samples. A cut is a site that every path from\n    input to output passes, so that contributions there sum to the change of the target; the gap is the median\n    difference. <!></p></section> <!> <!> <section><h2>Where the numbers come from</h2> <dl class=\"facts\"><!> <dt>classes</dt><dd> </dd></dl></section>", 1);
function ed(e, t) {
	k(t, !0);
	let n = Je("source"), r = n.view("findings"), i = /* @__PURE__ */ j(() => t.data.sites.map((e) => [
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
	var o = $u(), s = I(o), c = L(s, !0), l = R(s, 2);
	wl(F(l), { get text() {
		return t.data.lead;
	} }), O(l);
	var u = R(l, 2);
	Qi(u, {
		get promise() {
			return r;
		},
		children: (e, t = d) => {
			var n = Yu();
			X(n, 21, () => t().sentences, Y, (e, t) => {
				var n = Ju();
				wl(F(n), { get text() {
					return H(t);
				} }), O(n), K(e, n);
			}), O(n), K(e, n);
		},
		$$slots: { default: !0 }
	});
	var f = R(u, 2);
	X(f, 17, () => t.data.sites.filter((e) => e.caution), Y, (e, t) => {
		var n = Xu(), r = F(n), i = F(r), a = L(i), o = R(i);
		O(r), O(n), z(() => {
			q(a, `${H(t).site ?? ""}.`), q(o, ` ${H(t).caution ?? ""}`);
		}), K(e, n);
	});
	var p = R(f, 2), m = R(F(p), 2);
	Ca(m, {
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
			return H(i);
		},
		links: (e, n) => {
			let r = t.data.sites[e];
			return n === 0 && r?.modes ? Q("modes", [r.site]) : null;
		}
	});
	var g = R(m, 2);
	ga(R(F(g)), { get code() {
		return t.data.python;
	} }), O(g), O(p);
	var _ = R(p, 2);
	X(_, 17, () => Object.entries(t.data.missing), Y, (e, t) => {
		var n = /* @__PURE__ */ j(() => h(H(t), 2));
		let r = () => H(n)[0], i = () => H(n)[1];
		{
			let t = /* @__PURE__ */ j(() => a[r()] ?? r());
			ea(e, {
				get what() {
					return H(t);
				},
				get command() {
					return i();
				}
			});
		}
	});
	var v = R(_, 2), y = (e) => {
		var t = Zu(), r = L(F(t), !0);
		O(t), z(() => q(r, n.about.reason)), K(e, t);
	};
	J(v, (e) => {
		!n.about.live && n.about.reason && e(y);
	});
	var b = R(v, 2), x = R(F(b), 2), S = F(x);
	X(S, 17, () => t.data.facts, Y, (e, t) => {
		var n = /* @__PURE__ */ j(() => h(H(t), 2));
		let r = () => H(n)[0], i = () => H(n)[1];
		var a = Qu(), o = I(a), s = L(o, !0), c = R(o);
		wl(F(c), { get text() {
			return i();
		} }), O(c), z(() => q(s, r())), K(e, a);
	});
	var ee = L(R(S, 3), !0);
	O(x), O(b), z((e) => {
		q(c, t.data.title), q(ee, e);
	}, [() => t.data.classes ? $(t.data.classes.length) : "not named"]), K(e, o), A();
}
// src/lib/waterfall.ts
function td(e, t) {
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
var nd = /* @__PURE__ */ G("<line y1=\"4\" stroke=\"var(--rule)\"></line><text text-anchor=\"middle\"> </text>", 1), rd = /* @__PURE__ */ G("<text class=\"strong\" text-anchor=\"end\"> </text>"), id = /* @__PURE__ */ G("<a><!></a>"), ad = /* @__PURE__ */ G("<line stroke=\"var(--faint)\"></line>"), od = /* @__PURE__ */ G("<!><rect rx=\"2\"><title> </title></rect><!><text text-anchor=\"end\" class=\"strong\"> </text>", 1), sd = /* @__PURE__ */ G("<svg role=\"group\"><!><!></svg>"), cd = /* @__PURE__ */ W("<div><!></div>");
function ld(e, t) {
	k(t, !0);
	let n = Gi(t, "most", 3, 10), r = /* @__PURE__ */ j(() => td(t.terms, n())), i = /* @__PURE__ */ N(620), a = /* @__PURE__ */ j(() => Math.min(760, Math.max(300, H(i)))), o = /* @__PURE__ */ j(() => Math.min(200, Math.round(.4 * H(a)))), s = /* @__PURE__ */ j(() => H(r).length * 25 + 34), c = /* @__PURE__ */ j(() => H(r).flatMap((e) => [e.start, e.end])), l = /* @__PURE__ */ j(() => mc([Math.min(0, ...H(c)), Math.max(0, ...H(c), 1e-9)], [H(o), H(a) - 62])), u = (e) => e.length > H(o) / 6.6 ? `${e.slice(0, Math.floor(H(o) / 6.6) - 1)}…` : e;
	var d = cd(), f = F(d);
	{
		let e = /* @__PURE__ */ j(() => `The sum at ${t.terms.site}`), n = /* @__PURE__ */ j(() => `In ${t.unit}. Orange supports the target, blue opposes it. The bars add up to the change of the target.`);
		ll(f, {
			get title() {
				return H(e);
			},
			get caption() {
				return H(n);
			},
			children: (e, n) => {
				var i = sd(), c = F(i);
				X(c, 17, () => H(l).ticks(H(a) / 110), Y, (e, t) => {
					var n = nd(), r = I(n), i = R(r), a = L(i, !0);
					z((e, t, n, o) => {
						Z(r, "x1", e), Z(r, "x2", t), Z(r, "y2", H(s) - 26), Z(i, "x", n), Z(i, "y", H(s) - 10), q(a, o);
					}, [
						() => H(l)(H(t)),
						() => H(l)(H(t)),
						() => H(l)(H(t)),
						() => na(H(t), 1)
					]), K(e, n);
				}), X(R(c), 17, () => H(r), Y, (e, n, i) => {
					let s = (e) => {
						var t = rd(), r = L(t, !0);
						z((e) => {
							Z(t, "x", H(o) - 10), Z(t, "y", H(c) + 15), q(r, e);
						}, [() => u(H(n).label)]), K(e, t);
					}, c = /* @__PURE__ */ j(() => 6 + i * 25), d = /* @__PURE__ */ j(() => Math.min(H(l)(H(n).start), H(l)(H(n).end)));
					var f = od(), p = I(f), m = (e) => {
						var r = id(), i = F(r);
						s(i), O(r), z((e, t) => {
							Z(r, "href", e), Z(r, "aria-label", t);
						}, [() => Q("mode", [t.terms.site, H(n).mode]), () => `Mode ${H(n).mode}, ${ia(H(n).label)}`]), K(e, r);
					}, h = (e) => {
						s(e);
					};
					J(p, (e) => {
						H(n).mode === null ? e(h, -1) : e(m);
					});
					var g = R(p);
					Z(g, "height", 17);
					var _ = L(F(g));
					O(g);
					var v = R(g), y = (e) => {
						var t = ad();
						z((e, n) => {
							Z(t, "x1", e), Z(t, "x2", n), Z(t, "y1", H(c) + 25 - 5), Z(t, "y2", H(c) + 25 + 3);
						}, [() => H(l)(H(n).end), () => H(l)(H(n).end)]), K(e, t);
					};
					J(v, (e) => {
						i + 1 < H(r).length && H(n).kind !== "total" && e(y);
					});
					var b = R(v), x = L(b, !0);
					z((e, t, r) => {
						Z(g, "x", H(d)), Z(g, "y", H(c) + 3), Z(g, "width", e), Z(g, "fill", H(n).kind === "total" ? "var(--ink)" : H(n).kind === "rest" ? "var(--null)" : H(n).amount >= 0 ? "var(--for)" : "var(--against)"), q(_, `${H(n).label ?? ""}: ${t ?? ""}`), Z(b, "x", H(a) - 62 + 56), Z(b, "y", H(c) + 15), q(x, r);
					}, [
						() => Math.max(1, Math.abs(H(l)(H(n).end) - H(l)(H(n).start))),
						() => na(H(n).amount, 3),
						() => na(H(n).amount)
					]), K(e, f);
				}), O(i), z((e) => {
					Z(i, "viewBox", `0 0 ${H(a)} ${H(s)}`), Z(i, "aria-label", e);
				}, [() => H(r).map((e) => `${e.label}: ${na(e.amount)}`).join("; ")]), K(e, i);
			},
			$$slots: { default: !0 }
		});
	}
	O(d), Bi(d, "clientWidth", (e) => P(i, e)), K(e, d), A();
}
// src/views/Sample.svelte
var ud = /* @__PURE__ */ W("<br/> ", 1), dd = /* @__PURE__ */ W("<p><a>Explain it live: maps, switches, contrasts</a></p>"), fd = /* @__PURE__ */ W("<option> </option>"), pd = /* @__PURE__ */ W("<div class=\"controls\"><label>Site <select></select></label></div> <!> <h2>All active modes</h2> <!>", 1), md = /* @__PURE__ */ W("<p class=\"kicker\"><a>Samples</a> </p> <h1> </h1> <div class=\"try\"><div><!> <p class=\"small\"> <!></p> <ul class=\"numbers\"><li><b> </b><span> </span></li> <li><b> </b><span>at the baseline</span></li> <li><b> </b><span>change, explained here</span></li></ul> <!> <!></div> <div><!> <!></div></div>", 1);
function hd(e, t) {
	k(t, !0);
	let n = Je("source"), r = /* @__PURE__ */ j(() => t.data.sites.find((e) => e.site === t.query.site) ?? t.data.sites.at(-1));
	var i = md(), a = I(i), o = F(a), s = R(o);
	O(a);
	var c = R(a, 2), l = L(c, !0), u = R(c, 2), d = F(u), f = F(d);
	{
		let e = /* @__PURE__ */ j(() => t.data.label ?? t.data.key);
		du(f, {
			get row() {
				return t.data.row;
			},
			side: 384,
			get alt() {
				return H(e);
			},
			get words() {
				return t.data.key;
			}
		});
	}
	var p = R(f, 2);
	_i(p, "", {}, { "margin-top": "0.5rem" });
	var m = F(p, !0), h = R(m), g = (e) => {
		var n = ud(), r = R(I(n));
		z(() => q(r, `predicted: ${t.data.prediction ?? ""}`)), K(e, n);
	};
	J(h, (e) => {
		t.data.prediction && e(g);
	}), O(p);
	var _ = R(p, 2), v = F(_), y = F(v), b = L(y, !0), x = L(R(y));
	O(v);
	var S = R(v, 2), ee = L(F(S), !0);
	Ee(), O(S);
	var C = R(S, 2), te = L(F(C), !0);
	Ee(), O(C), O(_);
	var w = R(_, 2), ne = (e) => {
		var n = dd(), i = L(n);
		z((e) => Z(i, "href", e), [() => Q("try", [], {
			row: t.data.row,
			site: H(r)?.site
		})]), K(e, n);
	};
	J(w, (e) => {
		n.live && e(ne);
	}), ga(R(w, 2), { get code() {
		return t.data.python;
	} }), O(d);
	var re = R(d, 2), ie = F(re), ae = (e) => {
		var n = pd(), i = I(n), a = F(i), o = R(F(a));
		X(o, 21, () => t.data.sites, Y, (e, t) => {
			var n = fd(), r = L(n, !0), i = {};
			z(() => {
				q(r, H(t).site), i !== (i = H(t).site) && (n.value = (n.__value = i) ?? "");
			}), K(e, n);
		}), O(o);
		var s;
		xi(o), O(a), O(i);
		var c = R(i, 2);
		ld(c, {
			get terms() {
				return H(r);
			},
			get unit() {
				return t.unit;
			}
		});
		var l = R(c, 4);
		{
			let e = /* @__PURE__ */ j(() => `Modes of sample ${t.data.row} at ${H(r).site}`), n = /* @__PURE__ */ j(() => H(r).terms.map((e) => [
				e.mode,
				ia(e.name),
				e.contribution,
				e.loading
			]));
			Ca(l, {
				get title() {
					return H(e);
				},
				columns: [
					"mode",
					"name",
					"contribution",
					"loading"
				],
				get rows() {
					return H(n);
				},
				links: (e, t) => t < 2 && H(r) ? Q("mode", [H(r).site, H(r).terms[e]?.mode ?? 0]) : null
			});
		}
		z(() => {
			s !== (s = H(r).site) && (o.value = (o.__value = s) ?? "", bi(o, s));
		}), U("change", o, (e) => t.go(Q("sample", [t.data.row], { site: e.currentTarget.value }), !0)), K(e, n);
	};
	J(ie, (e) => {
		H(r) && e(ae);
	}), ea(R(ie, 2), {
		what: "modes",
		get command() {
			return t.data.missing.modes;
		}
	}), O(re), O(u), z((e, n, r, i) => {
		Z(o, "href", e), q(s, ` · ${t.data.row ?? ""}`), q(l, t.data.label ?? t.data.key), q(m, t.data.key), q(b, n), q(x, `target, ${t.unit ?? ""}`), q(ee, r), q(te, i);
	}, [
		() => Q("samples"),
		() => $(t.data.target),
		() => $(t.data.baseline),
		() => na(t.data.change)
	]), K(e, i), A();
}
Er(["change"]);
// src/views/Samples.svelte
var gd = /* @__PURE__ */ W("<label class=\"row\"><input type=\"checkbox\"/> only where the prediction is another class</label>"), _d = /* @__PURE__ */ W("<br/><span class=\"against\"> </span>", 1), vd = /* @__PURE__ */ W("<li><a><!> <div class=\"about\"> <!></div></a></li>"), yd = /* @__PURE__ */ W("<p><button>Previous</button> <span class=\"small\"> </span> <button>Next</button></p>"), bd = /* @__PURE__ */ W("<h1>Samples</h1> <div class=\"controls\"><label>Search <input type=\"search\" placeholder=\"class or name\"/></label> <!></div> <p class=\"small\" role=\"status\"> <!></p> <ul class=\"gallery\"></ul> <!>", 1);
function xd(e, t) {
	k(t, !0), Je("source");
	let n = (e) => e < 0 ? "" : t.data.classes?.[e] ?? `class ${e}`, r = (e) => !t.data.own_classes && (t.data.labels[e] ?? -1) >= 0 && t.data.labels[e] !== t.data.predictions[e], i = /* @__PURE__ */ j(() => (t.query.search ?? "").toLowerCase()), a = /* @__PURE__ */ j(() => t.data.keys.map((e, t) => t).filter((e) => (!H(i) || `${t.data.keys[e]} ${n(t.data.labels[e] ?? -1)}`.toLowerCase().includes(H(i))) && (t.query.wrong !== "1" || r(e)))), o = /* @__PURE__ */ j(() => Math.max(0, Math.min(Number(t.query.page ?? 0) || 0, Math.ceil(H(a).length / 60) - 1))), s = /* @__PURE__ */ j(() => H(a).slice(H(o) * 60, H(o) * 60 + 60)), c = (e) => t.go(Q("samples", [], {
		...t.query,
		...e
	}), !0);
	var l = bd(), u = R(I(l), 2), d = F(u), f = R(F(d));
	ki(f), O(d);
	var p = R(d, 2), m = (e) => {
		var n = gd(), r = F(n);
		ki(r), Ee(), O(n), z(() => ji(r, t.query.wrong === "1")), U("change", r, (e) => c({
			wrong: e.currentTarget.checked ? "1" : "",
			page: ""
		})), K(e, n);
	};
	J(p, (e) => {
		t.data.own_classes || e(m);
	}), O(u);
	var h = R(u, 2), g = F(h);
	ga(R(g), { get code() {
		return t.data.python;
	} }), O(h);
	var _ = R(h, 2);
	X(_, 20, () => H(s), (e) => e, (e, i) => {
		var a = vd(), o = F(a), s = F(o);
		du(s, {
			get row() {
				return i;
			},
			side: 192,
			get words() {
				return t.data.keys[i];
			}
		});
		var c = R(s, 2), l = F(c, !0), u = R(l), d = (e) => {
			var r = _d(), a = L(R(I(r)));
			z((e) => q(a, `predicted ${e ?? ""}`), [() => n(t.data.predictions[i] ?? -1)]), K(e, r);
		}, f = /* @__PURE__ */ j(() => r(i));
		J(u, (e) => {
			H(f) && e(d);
		}), O(c), O(o), O(a), z((e, t) => {
			Z(o, "href", e), q(l, t);
		}, [() => Q("sample", [i]), () => n(t.data.labels[i] ?? -1) || t.data.keys[i]]), K(e, a);
	}), O(_);
	var v = R(_, 2), y = (e) => {
		var t = yd();
		_i(t, "", {}, { "margin-top": "1rem" });
		var n = F(t), r = R(n, 2), i = L(r), s = R(r, 2);
		O(t), z((e) => {
			n.disabled = H(o) === 0, q(i, ` page ${H(o) + 1} of ${e ?? ""} `), s.disabled = (H(o) + 1) * 60 >= H(a).length;
		}, [() => Math.ceil(H(a).length / 60)]), U("click", n, () => c({ page: String(H(o) - 1) })), U("click", s, () => c({ page: String(H(o) + 1) })), K(e, t);
	};
	J(v, (e) => {
		H(a).length > 60 && e(y);
	}), z((e, n) => {
		Ai(f, t.query.search ?? ""), q(g, `${e ?? ""} of ${n ?? ""} samples. `);
	}, [() => $(H(a).length), () => $(t.data.keys.length)]), U("input", f, (e) => c({
		search: e.currentTarget.value,
		page: ""
	})), K(e, l), A();
}
Er([
	"input",
	"change",
	"click"
]);
// src/parts/Eraser.svelte
var Sd = /* @__PURE__ */ W("<div class=\"picture\" role=\"application\" aria-label=\"Erase a part: drag over the picture, or move with arrows and paint with space\" tabindex=\"0\"><img alt=\"\" draggable=\"false\"/> <svg aria-hidden=\"true\"><path fill=\"#8a8379\" fill-opacity=\"0.92\"></path><rect width=\"3\" height=\"3\" fill=\"none\" stroke=\"#fff\" stroke-width=\"0.25\"></rect></svg></div>");
function Cd(e, t) {
	k(t, !0);
	let n = /* @__PURE__ */ j(() => t.grid.length), r = /* @__PURE__ */ N(void 0), i = /* @__PURE__ */ N(en([14, 14])), a = !1;
	function o(e, r) {
		for (let i = e - 1; i <= e + 1; i++) for (let e = r - 1; e <= r + 1; e++) {
			let r = t.grid[i];
			r && e >= 0 && e < H(n) && (r[e] = !0);
		}
	}
	function s(e) {
		if (!a || !H(r)) return;
		let { left: t, top: i, width: s, height: c } = H(r).getBoundingClientRect();
		o(Math.floor((e.clientY - i) / c * H(n)), Math.floor((e.clientX - t) / s * H(n)));
	}
	function c(e) {
		let t = {
			ArrowUp: [-1, 0],
			ArrowDown: [1, 0],
			ArrowLeft: [0, -1],
			ArrowRight: [0, 1]
		}[e.key];
		if (t) P(i, [Math.min(H(n) - 1, Math.max(0, H(i)[0] + (t[0] ?? 0))), Math.min(H(n) - 1, Math.max(0, H(i)[1] + (t[1] ?? 0)))], !0);
		else if (e.key === " ") o(...H(i));
		else return;
		e.preventDefault();
	}
	let l = /* @__PURE__ */ j(() => t.grid.flatMap((e, t) => e.flatMap((e, n) => e ? [`M${n},${t}h1v1h-1z`] : [])).join(""));
	var u = Sd();
	_i(u, "", {}, {
		"touch-action": "none",
		cursor: "crosshair"
	});
	var d = F(u), f = R(d, 2);
	_i(f, "", {}, {
		position: "absolute",
		inset: "0",
		width: "100%"
	});
	var p = F(f), m = R(p);
	O(f), O(u), Hi(u, (e) => P(r, e), () => H(r)), z(() => {
		Z(d, "src", t.at), Z(f, "viewBox", `0 0 ${H(n)} ${H(n)}`), Z(p, "d", H(l)), Z(m, "x", H(i)[1] - 1), Z(m, "y", H(i)[0] - 1);
	}), U("keydown", u, c), U("pointerdown", u, (e) => {
		a = !0, e.currentTarget.setPointerCapture(e.pointerId), s(e);
	}), U("pointermove", u, s), U("pointerup", u, () => a = !1), K(e, u), A();
}
Er([
	"keydown",
	"pointerdown",
	"pointermove",
	"pointerup"
]);
// src/views/Try.svelte
var wd = /* @__PURE__ */ W("<div class=\"note\"><p> </p></div>"), Td = /* @__PURE__ */ W("<div class=\"note error\" role=\"alert\"><p> </p></div>"), Ed = /* @__PURE__ */ W("<div role=\"group\" aria-label=\"Picture\"><p>Drop a photograph here, or</p> <button class=\"primary\">Choose a file</button> <input type=\"file\" accept=\"image/*\" hidden=\"\" aria-label=\"Photograph\"/> <p class=\"small\">It stays on this machine. Or open a <a>sample of the run</a>.</p></div>"), Dd = /* @__PURE__ */ W("Paint over a part; it becomes the mean colour of the rest.<br/> <button>Explain without it</button> <button>Cancel</button>", 1), Od = /* @__PURE__ */ W(" <button class=\"plain\">Hide</button>", 1), kd = /* @__PURE__ */ W("<button class=\"plain\">Whole picture again</button>"), Ad = /* @__PURE__ */ W("<!> <button class=\"plain\">Erase a part</button> <!>", 1), jd = /* @__PURE__ */ W("<div><!></div> <p class=\"small\"><!></p>", 1), Md = /* @__PURE__ */ W("<option> </option>"), Nd = /* @__PURE__ */ W("<option></option>"), Pd = /* @__PURE__ */ W("<p class=\"busy\" role=\"status\"> <progress aria-label=\"Progress\"></progress> <button>Cancel</button></p>"), Fd = /* @__PURE__ */ W("<p class=\"busy\">Cancelled.</p>"), Id = /* @__PURE__ */ W("<p class=\"busy\">No picture yet.</p>"), Ld = /* @__PURE__ */ W("<i></i>"), Rd = /* @__PURE__ */ W("<span> </span> <span class=\"bar\"><!><b></b></span> <span> </span>", 1), zd = /* @__PURE__ */ W("<button class=\"plain\">Reset all</button>"), Bd = /* @__PURE__ */ W("<div class=\"probabilities\" role=\"group\" aria-label=\"Class probabilities\"></div> <p class=\"small\"> <!></p>", 1), Vd = /* @__PURE__ */ W("<div class=\"switch\"><!> <span><a> </a> <button class=\"plain\">Show</button><button class=\"plain\">Alike</button></span> <input type=\"range\" min=\"0\" max=\"2\" step=\"0.05\"/> <span class=\"factor\"> </span> <span> </span></div>"), Hd = /* @__PURE__ */ W("<li><a><!><div class=\"about\"> </div></a></li>"), Ud = /* @__PURE__ */ W("<h2> </h2> <ul class=\"gallery\"></ul>", 1), Wd = /* @__PURE__ */ W("<h2>What the erased part changed</h2> <!>", 1), Gd = /* @__PURE__ */ W("<h2> </h2> <!> <h2>Switch modes</h2> <div class=\"switches\"></div> <p class=\"small\"> </p> <!> <!> <h2>The whole sum</h2> <!> <!>", 1), Kd = /* @__PURE__ */ W("<p class=\"lead\">The network’s answer for one picture, as a sum over modes. Switch modes off or up, ask why one class and not another, or erase a part.</p> <!> <div class=\"try\"><div><!> <!> <div class=\"controls\"><label>Site <select></select></label> <label>Class <input list=\"cl-outputs\" placeholder=\"the predicted one\"/></label> <label>instead of <input list=\"cl-outputs\" placeholder=\"no other\"/></label> <datalist id=\"cl-outputs\"></datalist></div></div> <div aria-live=\"polite\"><!> <!></div></div>", 1), qd = /* @__PURE__ */ W("<h1>Try a picture</h1> <!>", 1);
function Jd(e, t) {
	k(t, !0);
	let n = Je("source"), r = n.live, i = () => Array.from({ length: 28 }, () => Array(28).fill(!1)), a = /* @__PURE__ */ N(""), o = /* @__PURE__ */ N(null), s = /* @__PURE__ */ N(""), c = /* @__PURE__ */ N(""), l = /* @__PURE__ */ N(en(i())), u = /* @__PURE__ */ N(!1), d = /* @__PURE__ */ N(!1), f = /* @__PURE__ */ N(""), p = /* @__PURE__ */ N(null), m = /* @__PURE__ */ N(null), h = /* @__PURE__ */ N(null), g = /* @__PURE__ */ N(null), _ = /* @__PURE__ */ N(en({})), v = /* @__PURE__ */ N(null), y = /* @__PURE__ */ N(null), b = /* @__PURE__ */ N(""), x = /* @__PURE__ */ N(void 0), S = !1;
	qi(() => {
		S = !0, ee() && r?.cancel(H(f));
	});
	let ee = () => H(p)?.state === "running" || H(p)?.state === "waiting", C = /* @__PURE__ */ j(() => H(m)?.sites[0] ?? null), te = /* @__PURE__ */ j(() => H(C)?.terms.slice(0, 12) ?? []), w = /* @__PURE__ */ j(() => H(C)?.terms.find((e) => e.mode === H(g))?.map ?? null), ne = /* @__PURE__ */ j(() => n.about.outputs ?? []), re = /* @__PURE__ */ j(() => {
		let [e, t] = [H(h)?.sites[0], H(C)];
		if (!e || !t || e.site !== t.site) return [];
		let n = new Map(e.terms.map((e) => [e.mode, e])), r = new Map(t.terms.map((e) => [e.mode, e]));
		return [.../* @__PURE__ */ new Set([...n.keys(), ...r.keys()])].map((e) => ({
			mode: e,
			name: (r.get(e) ?? n.get(e))?.name ?? "",
			from: n.get(e)?.contribution ?? 0,
			to: r.get(e)?.contribution ?? 0
		})).sort((e, t) => Math.abs(t.to - t.from) - Math.abs(e.to - e.from));
	});
	Cn(() => {
		H(a) || P(a, t.query.site && t.sites.includes(t.query.site) ? t.query.site : t.sites.at(-1) ?? "", !0);
	}), Cn(() => {
		let e = t.query.row;
		e !== void 0 && /^\d+$/.test(e) && H(o)?.row !== Number(e) && r && (P(o, { row: Number(e) }, !0), P(l, i(), !0), queueMicrotask(() => ae(!1)));
	});
	async function ie(e) {
		if (e && r) {
			P(b, "");
			try {
				P(o, { picture: await r.upload(e) }, !0), P(l, i(), !0), await ae(!1);
			} catch (e) {
				P(b, e.message, !0);
			}
		}
	}
	async function ae(e) {
		if (!r || !H(o)) return;
		ee() && await r.cancel(H(f)).catch(() => void 0), P(b, ""), P(y, null);
		let t = e ? H(h) ?? H(m) : null, n = H(m)?.outputs[0]?.output ?? null, i = (e) => {
			if (!e) return null;
			let t = H(ne).indexOf(e);
			return t >= 0 ? t : Number(e);
		};
		try {
			P(f, await r.explain({
				...H(o),
				sites: [H(a)],
				target: i(H(s)) ?? (e ? n : null),
				instead_of: i(H(c)),
				erased: e ? H(l) : null
			}), !0);
			let d = H(f);
			for (P(p, {
				state: "waiting",
				done: 0,
				total: 1
			}, !0); !S && d === H(f);) {
				let e = await r.job(d);
				if (d !== H(f)) return;
				if (P(p, e, !0), e.state === "done" && e.result) {
					P(h, t, !0), P(m, e.result, !0), P(_, {}, !0), P(v, null), P(g, e.result.sites[0]?.terms[0]?.mode ?? null, !0), P(u, !1);
					return;
				}
				if (e.state === "failed") throw Error(e.error);
				if (e.state === "cancelled") return;
				await new Promise((e) => setTimeout(e, 120));
			}
		} catch (e) {
			P(b, e.message, !0), P(p, null);
		}
	}
	let oe = !1, se = !1;
	async function ce() {
		if (oe) se = !0;
		else if (r && H(C)) {
			oe = !0;
			try {
				let e = Object.fromEntries(Object.entries(H(_)).filter(([, e]) => e !== 1));
				P(v, Object.keys(e).length ? await r.switch(H(f), H(C).site, e) : null, !0);
			} catch (e) {
				P(b, e.message, !0);
			}
			oe = !1, se && (se = !1, ce());
		}
	}
	async function le(e, t) {
		if (H(C)) try {
			P(y, await n.view("similar", H(C).site, e, t), !0);
		} catch (e) {
			P(b, e.message, !0);
		}
	}
	let ue = /* @__PURE__ */ j(() => H(v) ? [...H(v).after].sort((e, t) => t.probability - e.probability).slice(0, 8).map((e) => ({
		...e,
		was: H(v)?.before.find((t) => t.output === e.output)?.probability ?? null
	})) : H(m)?.outputs.slice(0, 8).map((e) => ({
		...e,
		was: null
	})) ?? []);
	var de = qd(), fe = R(I(de), 2), pe = (e) => {
		var t = wd(), r = L(F(t), !0);
		O(t), z(() => q(r, n.about.reason || "The network of this run is not loaded, so nothing can be computed here.")), K(e, t);
	}, me = (e) => {
		var o = Kd(), S = R(I(o), 2), oe = (e) => {
			var t = Td(), n = L(F(t), !0);
			O(t), z(() => q(n, H(b))), K(e, t);
		};
		J(S, (e) => {
			H(b) && e(oe);
		});
		var se = R(S, 2), de = F(se), fe = F(de), pe = (e) => {
			var t = Ed();
			let n;
			var r = F(t);
			_i(r, "", {}, { "margin-bottom": "0.5rem" });
			var i = R(r, 2), a = R(i, 2);
			Hi(a, (e) => P(x, e), () => H(x));
			var o = R(a, 2);
			_i(o, "", {}, { margin: "0.7rem 0 0" });
			var s = R(F(o));
			Ee(), O(o), O(t), z((e) => {
				n = hi(t, 1, "drop", null, n, { over: H(d) }), Z(s, "href", e);
			}, [() => Q("samples")]), Tr("dragover", t, (e) => {
				e.preventDefault(), P(d, !0);
			}), Tr("dragleave", t, () => P(d, !1)), Tr("drop", t, (e) => {
				e.preventDefault(), P(d, !1), ie(e.dataTransfer?.files[0]);
			}), U("click", i, () => H(x)?.click()), U("change", a, (e) => {
				ie(e.currentTarget.files?.[0]), e.currentTarget.value = "";
			}), K(e, t);
		};
		J(fe, (e) => {
			n.about.uploads && e(pe);
		});
		var me = R(fe, 2), he = (e) => {
			var t = jd(), n = I(t);
			_i(n, "", {}, { "margin-top": "1rem" });
			var r = F(n), a = (e) => {
				Cd(e, {
					get at() {
						return H(m).picture;
					},
					get grid() {
						return H(l);
					},
					set grid(e) {
						P(l, e, !0);
					}
				});
			}, o = (e) => {
				du(e, {
					get at() {
						return H(m).picture;
					},
					get map() {
						return H(w);
					},
					alt: "What the network saw"
				});
			};
			J(r, (e) => {
				H(u) ? e(a) : e(o, -1);
			}), O(n);
			var s = R(n, 2);
			_i(s, "", {}, { "margin-top": "0.4rem" });
			var c = F(s), d = (e) => {
				var t = Dd(), n = R(I(t), 3), r = R(n, 2);
				z((e) => n.disabled = e, [() => ee() || !H(l).some((e) => e.some(Boolean))]), U("click", n, () => ae(!0)), U("click", r, () => {
					P(l, i(), !0), P(u, !1);
				}), K(e, t);
			}, f = (e) => {
				var t = Ad(), n = I(t), r = (e) => {
					var t = Od(), n = I(t), r = R(n);
					z(() => q(n, `Where mode ${H(g) ?? ""} acts. `)), U("click", r, () => P(g, null)), K(e, t);
				};
				J(n, (e) => {
					H(w) && H(g) !== null && e(r);
				});
				var a = R(n, 2), o = R(a, 2), s = (e) => {
					var t = kd();
					U("click", t, () => {
						P(l, i(), !0), P(h, null), ae(!1);
					}), K(e, t);
				};
				J(o, (e) => {
					H(h) && e(s);
				}), U("click", a, () => P(u, !0)), K(e, t);
			};
			J(c, (e) => {
				H(u) ? e(d) : e(f, -1);
			}), O(s), K(e, t);
		};
		J(me, (e) => {
			H(m) && e(he);
		});
		var ge = R(me, 2), T = F(ge), _e = R(F(T));
		X(_e, 21, () => t.sites, Y, (e, t) => {
			var n = Md(), r = L(n, !0), i = {};
			z(() => {
				q(r, H(t)), i !== (i = H(t)) && (n.__value = i);
			}), K(e, n);
		}), O(_e), xi(_e), O(T);
		var ve = R(T, 2), ye = R(F(ve));
		ki(ye), O(ve);
		var be = R(ve, 2), xe = R(F(be));
		ki(xe), O(be);
		var Se = R(be, 2);
		X(Se, 21, () => H(ne), Y, (e, t) => {
			var n = Nd(), r = {};
			z(() => {
				r !== (r = H(t)) && (n.value = (n.__value = r) ?? "");
			}), K(e, n);
		}), O(Se), O(ge), O(de);
		var E = R(de, 2), Ce = F(E), D = (e) => {
			var t = Pd(), n = F(t), i = R(n), a = R(i, 2);
			O(t), z(() => {
				q(n, `${H(p).state === "waiting" ? "Waiting for the network …" : "Computing the contributions …"} `), Z(i, "max", H(p).total), Ai(i, H(p).done);
			}), U("click", a, () => r.cancel(H(f))), K(e, t);
		}, we = /* @__PURE__ */ j(() => H(p) && ee()), Te = (e) => {
			K(e, Fd());
		}, De = (e) => {
			K(e, Id());
		};
		J(Ce, (e) => {
			H(we) ? e(D) : H(p)?.state === "cancelled" ? e(Te, 1) : H(m) || e(De, 2);
		});
		var Oe = R(Ce, 2), ke = (e) => {
			var t = Gd(), n = I(t);
			_i(n, "", {}, { "margin-top": "0" });
			var r = L(n), i = R(n, 2), a = (e) => {
				var t = Bd(), n = I(t);
				X(n, 21, () => H(ue), (e) => e.output, (e, t) => {
					var n = Rd(), r = I(n), i = L(r, !0), a = R(r, 2), o = F(a), s = (e) => {
						var n = Ld();
						let r;
						z(() => r = _i(n, "", r, { width: `${100 * H(t).was}%` })), K(e, n);
					};
					J(o, (e) => {
						H(t).was !== null && e(s);
					});
					var c = R(o);
					let l;
					O(a);
					var u = L(R(a, 2), !0);
					z((e) => {
						q(i, H(t).name), l = _i(c, "", l, { width: `${100 * H(t).probability}%` }), q(u, e);
					}, [() => ra(H(t).probability)]), K(e, n);
				}), O(n);
				var r = R(n, 2), i = F(r), a = R(i), o = (e) => {
					var t = zd();
					U("click", t, () => {
						P(_, {}, !0), P(v, null);
					}), K(e, t);
				};
				J(a, (e) => {
					H(v) && e(o);
				}), O(r), z((e) => q(i, `${e ?? ""} `), [() => H(v) ? `With the modes switched; grey: before. The target changes from ${$(H(v).target_before)} to ${$(H(v).target_after)} ${H(m).unit}.` : "Probabilities of the classes."]), K(e, t);
			};
			J(i, (e) => {
				H(ue).length && e(a);
			});
			var o = R(i, 4);
			X(o, 21, () => H(te), (e) => e.mode, (e, t) => {
				var n = Vd(), r = F(n);
				{
					let e = /* @__PURE__ */ j(() => H(t).map ?? null);
					du(r, {
						get at() {
							return H(m).picture;
						},
						get map() {
							return H(e);
						}
					});
				}
				var i = R(r, 2), a = F(i), o = L(a), s = R(a, 2), c = R(s);
				O(i);
				var l = R(i, 2);
				ki(l);
				var u = R(l, 2), d = L(u, !0), f = R(u, 2), p = L(f, !0);
				O(n), z((e, n, r, i) => {
					Z(a, "href", e), q(o, `${H(t).mode ?? ""} · ${n ?? ""}`), Ai(l, H(_)[H(t).mode] ?? 1), Z(l, "aria-label", `Mode ${H(t).mode}: factor`), q(d, r), hi(f, 1, `effect ${H(t).contribution >= 0 ? "for" : "against"}`), q(p, i);
				}, [
					() => Q("mode", [H(C).site, H(t).mode]),
					() => ia(H(t).name),
					() => H(_)[H(t).mode] === 0 ? "off" : `× ${$(H(_)[H(t).mode] ?? 1, 2)}`,
					() => na(H(t).contribution)
				]), U("click", s, () => P(g, H(t).mode, !0)), U("click", c, () => le(H(t).mode, H(t).loading)), U("input", l, (e) => {
					H(_)[H(t).mode] = Number(e.currentTarget.value), ce();
				}), K(e, n);
			}), O(o);
			var s = R(o, 2), c = L(s), l = R(s, 2), u = (e) => {
				var t = Ud(), n = I(t), r = L(n), i = R(n, 2);
				X(i, 21, () => H(y).rows, (e) => e.row, (e, t) => {
					var n = Hd(), r = F(n), i = F(r);
					du(i, {
						get row() {
							return H(t).row;
						},
						side: 192,
						get words() {
							return H(t).key;
						}
					});
					var a = L(R(i));
					O(r), O(n), z((e, n) => {
						Z(r, "href", e), q(a, `${H(t).label ?? H(t).key ?? ""} · ${n ?? ""}`);
					}, [() => Q("sample", [H(t).row]), () => $(H(t).loading, 2)]), K(e, n);
				}), O(i), z(() => q(r, `Samples in which mode ${H(y).mode ?? ""} is as active`)), K(e, t);
			};
			J(l, (e) => {
				H(y) && e(u);
			});
			var d = R(l, 2), f = (e) => {
				var t = Wd(), n = R(I(t), 2);
				{
					let e = /* @__PURE__ */ j(() => H(re).map((e) => [
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
							return H(e);
						},
						most: 12
					});
				}
				K(e, t);
			};
			J(d, (e) => {
				H(re).length && e(f);
			});
			var p = R(d, 4);
			ld(p, {
				get terms() {
					return H(C);
				},
				get unit() {
					return H(m).unit;
				}
			});
			var h = R(p, 2);
			{
				let e = /* @__PURE__ */ j(() => `Modes of this picture at ${H(C).site}`), t = /* @__PURE__ */ j(() => H(C).terms.map((e) => [
					e.mode,
					ia(e.name),
					e.contribution,
					e.effect ?? null,
					e.loading
				]));
				Ca(h, {
					get title() {
						return H(e);
					},
					columns: [
						"mode",
						"name",
						"contribution",
						"measured effect",
						"loading"
					],
					get rows() {
						return H(t);
					},
					most: 20,
					links: (e, t) => t < 2 && H(C) ? Q("mode", [H(C).site, H(C).terms[e]?.mode ?? 0]) : null
				});
			}
			z((e) => {
				q(r, `${H(m).words ?? ""}: ${e ?? ""} ${H(m).unit ?? ""}`), q(c, `The number at the right is the contribution in ${H(m).unit ?? ""}. The slider multiplies the mode’s share of the activation: 0 removes exactly the mode, 1 leaves it, 2 doubles it.`);
			}, [() => na(H(m).change)]), K(e, t);
		};
		J(Oe, (e) => {
			H(m) && H(C) && e(ke);
		}), O(E), O(se), U("change", _e, () => {
			P(h, null), ae(!1);
		}), Si(_e, () => H(a), (e) => P(a, e)), U("change", ye, () => {
			P(h, null), ae(!1);
		}), Fi(ye, () => H(s), (e) => P(s, e)), U("change", xe, () => {
			P(h, null), ae(!1);
		}), Fi(xe, () => H(c), (e) => P(c, e)), K(e, o);
	};
	J(fe, (e) => {
		r ? e(me, -1) : e(pe);
	}), K(e, de), A();
}
Er([
	"click",
	"change",
	"input"
]);
// src/App.svelte
var Yd = /* @__PURE__ */ W("<button class=\"skip\">Skip to the content</button>"), Xd = /* @__PURE__ */ W("<li><a> </a></li>"), Zd = /* @__PURE__ */ W("<h1> </h1> <!>", 1), Qd = /* @__PURE__ */ W("<h1>Not found</h1> <div class=\"note\"><p>There is no view at this address. <a>Go to the overview.</a></p></div>", 1), $d = /* @__PURE__ */ W("<div><nav class=\"main\" aria-label=\"Views\"><!> <p class=\"brand\">codeclens</p> <ul></ul></nav> <main tabindex=\"-1\"><!></main></div>");
function ef(e, t) {
	k(t, !0);
	let n = Gi(t, "boxed", 3, !1);
	Ye("source", t.source);
	let r = /* @__PURE__ */ N(en(Ji(n() ? "" : location.hash))), i = /* @__PURE__ */ N(0), a = /* @__PURE__ */ N(void 0), o = t.source.view("overview"), s = [
		["overview", "Overview"],
		["layers", "Layers"],
		["modes", "Modes"],
		["samples", "Samples"],
		["flow", "Flow"],
		["control", "Control"],
		["compare", "Compare"],
		["try", "Try a picture"]
	], c = /* @__PURE__ */ j(() => ({
		mode: "modes",
		sample: "samples"
	})[H(r).view] ?? H(r).view);
	function l(e, t = !0) {
		let i = Ji(e), o = i.view !== H(r).view || i.parts.join("/") !== H(r).parts.join("/");
		P(r, i, !0), o && t && (n() ? H(a)?.parentElement?.scrollTo(0, 0) : scrollTo(0, 0), H(a)?.focus({ preventScroll: !0 }));
	}
	function u(e, t = !1) {
		n() ? l(e) : t ? (history.replaceState(null, "", e), l(e, !1)) : location.hash = e;
	}
	function f(e) {
		let t = e.target.closest?.("a")?.getAttribute("href");
		n() && t?.startsWith("#/") && (e.preventDefault(), l(t));
	}
	Cn(() => {
		n() || (document.title = `${s.find(([e]) => e === H(c))?.[1] ?? "codeclens"} – codeclens`);
	});
	let p = (e) => (H(i), e());
	var m = $d();
	Tr("hashchange", rn, () => !n() && l(location.hash));
	let g;
	var _ = F(m), v = F(_), y = (e) => {
		var t = Yd();
		U("click", t, () => H(a)?.focus()), K(e, t);
	};
	J(v, (e) => {
		n() || e(y);
	});
	var b = R(v, 4);
	X(b, 21, () => s, Y, (e, n) => {
		var r = /* @__PURE__ */ j(() => h(H(n), 2));
		let i = () => H(r)[0], a = () => H(r)[1];
		var o = Ir(), s = I(o), l = (e) => {
			var t = Xd(), n = F(t), r = L(n, !0);
			O(t), z((e) => {
				Z(n, "href", e), Z(n, "aria-current", H(c) === i() ? "page" : void 0), q(r, a());
			}, [() => Q(i())]), K(e, t);
		};
		J(s, (e) => {
			(i() !== "try" || t.source.live) && e(l);
		}), K(e, o);
	}), O(b), O(_);
	var x = R(_, 2);
	Qi(F(x), {
		get promise() {
			return o;
		},
		children: (e, n = d) => {
			let a = /* @__PURE__ */ j(() => n().sites.filter((e) => e.modes).map((e) => e.site)), o = /* @__PURE__ */ j(() => H(a).at(-1) ?? "");
			var l = Ir(), f = I(l), m = (e) => {
				ed(e, { get data() {
					return n();
				} });
			}, h = (e) => {
				{
					let n = (e, t = d) => {
						nu(e, { get data() {
							return t();
						} });
					}, r = /* @__PURE__ */ j(() => p(() => t.source.view("layers")));
					Qi(e, {
						get promise() {
							return H(r);
						},
						children: n,
						$$slots: { default: !0 }
					});
				}
			}, g = (e) => {
				{
					let n = (e, t = d) => {
						xd(e, {
							get data() {
								return t();
							},
							get query() {
								return H(r).query;
							},
							go: u
						});
					}, i = /* @__PURE__ */ j(() => p(() => t.source.view("samples")));
					Qi(e, {
						get promise() {
							return H(i);
						},
						children: n,
						$$slots: { default: !0 }
					});
				}
			}, _ = (e) => {
				{
					let i = (e, t = d) => {
						hd(e, {
							get data() {
								return t();
							},
							get unit() {
								return n().unit;
							},
							get query() {
								return H(r).query;
							},
							go: u
						});
					}, a = /* @__PURE__ */ j(() => p(() => t.source.view("sample", H(r).parts[0] ?? "")));
					Qi(e, {
						get promise() {
							return H(a);
						},
						children: i,
						$$slots: { default: !0 }
					});
				}
			}, v = (e) => {
				{
					let i = (e, t = d) => {
						$l(e, {
							get data() {
								return t();
							},
							get query() {
								return H(r).query;
							},
							go: u,
							get unit() {
								return n().unit;
							}
						});
					}, a = /* @__PURE__ */ j(() => p(() => t.source.view("flow")));
					Qi(e, {
						get promise() {
							return H(a);
						},
						children: i,
						$$slots: { default: !0 }
					});
				}
			}, y = (e) => {
				{
					let n = (e, t = d) => {
						Nl(e, {
							get data() {
								return t();
							},
							get query() {
								return H(r).query;
							},
							go: u
						});
					}, i = /* @__PURE__ */ j(() => p(() => t.source.view("control")));
					Qi(e, {
						get promise() {
							return H(i);
						},
						children: n,
						$$slots: { default: !0 }
					});
				}
			}, b = (e) => {
				Jd(e, {
					get sites() {
						return H(a);
					},
					get query() {
						return H(r).query;
					}
				});
			}, x = (e) => {
				var t = Zd(), r = I(t), i = L(r, !0);
				ea(R(r, 2), {
					what: "modes",
					get command() {
						return n().missing.modes;
					}
				}), z((e) => q(i, e), [() => s.find(([e]) => e === H(c))?.[1] ?? "Not found"]), K(e, t);
			}, S = (e) => {
				{
					let n = (e, t = d) => {
						qu(e, {
							get data() {
								return t();
							},
							get sites() {
								return H(a);
							},
							get query() {
								return H(r).query;
							},
							go: u
						});
					}, i = /* @__PURE__ */ j(() => p(() => t.source.view("modes", H(r).parts[0] ?? H(o))));
					Qi(e, {
						get promise() {
							return H(i);
						},
						children: n,
						$$slots: { default: !0 }
					});
				}
			}, ee = (e) => {
				{
					let a = (e, t = d) => {
						Nu(e, {
							get data() {
								return t();
							},
							get unit() {
								return n().unit;
							},
							reload: () => Zt(i)
						});
					}, o = /* @__PURE__ */ j(() => p(() => t.source.view("mode", H(r).parts[0] ?? "", H(r).parts[1] ?? "")));
					Qi(e, {
						get promise() {
							return H(o);
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
								return H(a);
							},
							go: u
						});
					}, i = /* @__PURE__ */ j(() => p(() => t.source.view("compare", H(r).parts[0] ?? H(a).at(-2) ?? H(o), H(r).parts[1] ?? H(o))));
					Qi(e, {
						get promise() {
							return H(i);
						},
						children: n,
						$$slots: { default: !0 }
					});
				}
			}, te = (e) => {
				var t = Qd(), n = R(I(t), 2), r = F(n), i = R(F(r));
				O(r), O(n), z((e) => Z(i, "href", e), [() => Q("overview")]), K(e, t);
			};
			J(f, (e) => {
				H(r).view === "overview" ? e(m) : H(r).view === "layers" ? e(h, 1) : H(r).view === "samples" ? e(g, 2) : H(r).view === "sample" && H(r).parts.length ? e(_, 3) : H(r).view === "flow" ? e(v, 4) : H(r).view === "control" ? e(y, 5) : H(r).view === "try" ? e(b, 6) : H(a).length ? H(r).view === "modes" ? e(S, 8) : H(r).view === "mode" && H(r).parts.length > 1 ? e(ee, 9) : H(r).view === "compare" ? e(C, 10) : e(te, -1) : e(x, 7);
			}), K(e, l);
		},
		$$slots: { default: !0 }
	}), O(x), Hi(x, (e) => P(a, e), () => H(a)), O(m), z(() => g = hi(m, 1, "cl-root", null, g, { "cl-boxed": n() })), U("click", m, f), K(e, m), A();
}
Er(["click"]);
// src/explorer.css?inline
var tf = ".cl-root{--lightningcss-light:initial;--lightningcss-dark: ;color-scheme:light dark;--paper:#fdfcf8;--raised:#fff;--sunk:#f4f1e9;--ink:#1d1b18;--soft:#5d584f;--faint:#756f65;--rule:#dfdacd;--accent:#8c2f1b;--for:#d9540a;--against:#0a5fc4;--for-text:#a53c00;--against-text:#0a55ae;--mode:#c2410c;--contribution:#1b1b1b;--activation:#2f6fc6;--null:#8a8379;--focus:#0a5fc4;--plate:#fff;--serif:Charter, \"Bitstream Charter\", \"Sitka Text\", Cambria, \"Noto Serif\", Georgia, serif;--sans:Inter, \"Helvetica Neue\", \"Segoe UI\", Roboto, \"Noto Sans\", Arial, sans-serif;--mono:ui-monospace, \"SF Mono\", Menlo, Consolas, \"DejaVu Sans Mono\", monospace;background:var(--paper);color:var(--ink);font:15px/1.5 var(--sans);font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}@media (prefers-color-scheme:dark){.cl-root{--lightningcss-light: ;--lightningcss-dark:initial;--paper:#16171a;--raised:#1e2024;--sunk:#101114;--ink:#e8e4dc;--soft:#b1aba0;--faint:#98928a;--rule:#34363b;--accent:#ef9d85;--for:#f08a3c;--against:#5aa2f5;--for-text:#f6a266;--against-text:#82b8f8;--mode:#f08a4b;--contribution:#e8e4dc;--activation:#6ea8f0;--null:#87817a;--focus:#82b8f8;--plate:#26282d}}.cl-root *,.cl-root :before{box-sizing:border-box}.cl-root{grid-template-columns:13.5rem minmax(0,1fr);min-height:100vh;display:grid}.cl-root.cl-boxed{border:1px solid var(--rule);border-radius:8px;height:720px;min-height:0;overflow:auto}.cl-root h1,.cl-root h2,.cl-root h3{font-family:var(--serif);text-wrap:balance;overflow-wrap:anywhere;font-weight:600;line-height:1.22}.cl-root h1{letter-spacing:-.01em;margin:0 0 .5rem;font-size:clamp(1.55rem,1.2rem + 1.4vw,2.15rem);font-weight:500}.cl-root h2{margin:2.6rem 0 .7rem;font-size:1.22rem}.cl-root h3{margin:0 0 .3rem;font-size:1rem}.cl-root p{text-wrap:pretty;max-width:42rem;margin:0 0 .8rem}.cl-root a{color:inherit;-webkit-text-decoration-color:var(--faint);text-decoration-color:var(--faint);text-underline-offset:.2em}.cl-root a:hover{color:var(--accent)}.cl-root code{font:.88em var(--mono);overflow-wrap:anywhere}.cl-root :focus-visible{outline:2px solid var(--focus);outline-offset:2px;border-radius:3px}.cl-root .lead{font:1.08rem/1.55 var(--serif);max-width:44rem;color:var(--ink)}.cl-root .soft{color:var(--soft)}.cl-root .small{color:var(--soft);font-size:.86rem}.cl-root .for{color:var(--for-text)}.cl-root .against{color:var(--against-text)}.cl-root ul.findings{max-width:46rem;font-family:var(--serif);padding-left:1.1rem;font-size:1.02rem}.cl-root ul.findings li{text-wrap:pretty;margin-bottom:.5rem}.cl-root ul.findings li::marker{color:var(--faint)}.cl-root .skip{position:absolute;left:-999px}.cl-root .skip:focus{background:var(--raised);z-index:9;padding:.5rem .8rem;top:.6rem;left:.6rem}.cl-root nav.main{border-right:1px solid var(--rule);height:100vh;padding:1.6rem .8rem;position:sticky;top:0;overflow-y:auto}.cl-root.cl-boxed nav.main{height:718px}.cl-root nav.main .brand{font:600 1.05rem var(--serif);margin:0;padding:0 .7rem 1rem}.cl-root nav.main ul{margin:0;padding:0;list-style:none}.cl-root nav.main a{color:var(--soft);border-radius:6px;padding:.42rem .7rem;text-decoration:none;display:block}.cl-root nav.main a:hover{background:var(--sunk);color:var(--ink)}.cl-root nav.main a[aria-current=page]{background:var(--sunk);color:var(--ink);font-weight:600}.cl-root main{outline:none;min-width:0;max-width:78rem;padding:clamp(1.2rem,3vw,2.6rem) clamp(1rem,3.5vw,3.2rem) 5rem}.cl-root .kicker{letter-spacing:.06em;text-transform:uppercase;color:var(--faint);margin:0 0 .35rem;font-size:.8rem}.cl-root button,.cl-root select,.cl-root input:not([type=range]):not([type=checkbox]),.cl-root textarea{font:inherit;color:inherit;background:var(--raised);border:1px solid var(--rule);border-radius:6px;padding:.34rem .7rem}.cl-root button{cursor:pointer}.cl-root button:hover:not(:disabled){border-color:var(--faint)}.cl-root button.primary{background:var(--ink);color:var(--paper);border-color:var(--ink)}.cl-root button.plain{color:var(--soft);background:0 0;border:0;padding:.15rem .35rem;font-size:.82rem}.cl-root button.plain:hover{color:var(--ink);text-decoration:underline}.cl-root button:disabled{opacity:.55;cursor:default}.cl-root textarea{width:100%;min-height:4.5rem}.cl-root input[type=range],.cl-root input[type=checkbox]{accent-color:var(--accent)}.cl-root .controls{flex-wrap:wrap;align-items:end;gap:.6rem 1rem;margin:.9rem 0 1.1rem;display:flex}.cl-root .controls label{color:var(--soft);gap:.18rem;font-size:.8rem;display:grid}.cl-root .controls label>*{color:var(--ink);font-size:.92rem}.cl-root .controls label.row{align-items:center;gap:.4rem;padding-bottom:.35rem;display:flex}.cl-root .controls select,.cl-root .controls input{max-width:15rem}.cl-root .charts{grid-template-columns:repeat(auto-fit,minmax(min(19rem,100%),1fr));gap:1.8rem 2.2rem;display:grid}.cl-root figure{break-inside:avoid;min-width:0;margin:0}.cl-root figure .head{justify-content:space-between;align-items:baseline;gap:.5rem;display:flex}.cl-root figure svg{width:100%;height:auto;display:block;overflow:visible}.cl-root svg text{font-family:var(--sans);fill:var(--soft);font-size:11.5px}.cl-root svg text.strong{fill:var(--ink)}.cl-root figcaption{color:var(--soft);max-width:44rem;margin-top:.35rem;font-size:.84rem}.cl-root .legend{color:var(--soft);flex-wrap:wrap;gap:.1rem .9rem;margin:.2rem 0 0;padding:0;font-size:.8rem;list-style:none;display:flex}.cl-root .legend span{vertical-align:middle;border-top:2.5px solid;width:1.1em;height:0;margin-right:.35em;display:inline-block}.cl-root .scroll{max-width:100%;overflow-x:auto}.cl-root table{border-collapse:collapse;border-block:1.5px solid var(--ink);font-size:.88rem}.cl-root th{text-align:left;border-bottom:1px solid var(--rule);vertical-align:bottom;padding:.35rem .9rem .35rem 0;font-weight:600}.cl-root td{border-bottom:1px solid var(--rule);vertical-align:top;padding:.28rem .9rem .28rem 0}.cl-root tr:last-child td{border-bottom:0}.cl-root td.n,.cl-root th.n{text-align:right}.cl-root th button{text-align:inherit;background:0 0;border:0;padding:0;font-weight:600}.cl-root dl.facts{grid-template-columns:max-content minmax(0,1fr);gap:.25rem 1.1rem;margin:0;font-size:.88rem;display:grid}.cl-root dl.facts dt{color:var(--soft)}.cl-root dl.facts dd{overflow-wrap:anywhere;margin:0}.cl-root .numbers{flex-wrap:wrap;gap:1rem 2rem;margin:1rem 0 .4rem;padding:0;list-style:none;display:flex}.cl-root .numbers li{min-width:5.5rem}.cl-root .numbers b{font:500 1.3rem/1.2 var(--serif);display:block}.cl-root .numbers span{color:var(--soft);font-size:.8rem}.cl-root .note{background:var(--sunk);border-radius:8px;max-width:46rem;margin:1rem 0;padding:.9rem 1.1rem}.cl-root .note p:last-child{margin-bottom:0}.cl-root .note pre{white-space:pre-wrap;overflow-wrap:anywhere;font:.82rem/1.5 var(--mono);margin:.4rem 0 0}.cl-root .error{border-left:3px solid var(--accent)}.cl-root .grid-box{border-block:1px solid var(--rule);height:min(72vh,46rem);position:relative;overflow:hidden auto}.cl-root .card{padding:.45rem;position:absolute}.cl-root .card>a{border:1px solid var(--rule);background:var(--raised);border-radius:8px;height:100%;padding:.5rem;text-decoration:none;display:block;overflow:hidden}.cl-root .card>a:hover{border-color:var(--faint);color:inherit}.cl-root .card .faces{grid-template-columns:repeat(4,1fr);gap:3px;display:grid}.cl-root .card .title{white-space:nowrap;text-overflow:ellipsis;margin-top:.4rem;font-size:.88rem;font-weight:600;overflow:hidden}.cl-root .card .title.none{color:var(--soft);font-style:italic;font-weight:400}.cl-root .card .meta{color:var(--soft);white-space:nowrap;justify-content:space-between;gap:.4rem;font-size:.76rem;display:flex}.cl-root .picture{aspect-ratio:1;background:var(--sunk);border-radius:4px;display:block;position:relative;overflow:hidden}.cl-root .picture img,.cl-root .picture canvas{object-fit:cover;width:100%;height:100%;position:absolute;inset:0}.cl-root .picture img.coarse{image-rendering:pixelated}.cl-root .picture .words{text-align:center;color:var(--soft);overflow-wrap:anywhere;place-items:center;padding:.2rem;font-size:.72rem;display:grid;position:absolute;inset:0;overflow:hidden}.cl-root .gallery{grid-template-columns:repeat(auto-fill,minmax(8.2rem,1fr));gap:.9rem;margin:0;padding:0;list-style:none;display:grid}.cl-root .gallery .about{color:var(--soft);overflow-wrap:anywhere;margin-top:.25rem;font-size:.78rem}.cl-root .gallery a{text-decoration:none;display:block}.cl-root .try>div>.picture{max-width:22rem}.cl-root .columns{grid-template-columns:repeat(auto-fit,minmax(min(22rem,100%),1fr));gap:1rem 2.6rem;display:grid}.cl-root .columns>section{min-width:0}.cl-root .try{grid-template-columns:minmax(15rem,22rem) minmax(0,1fr);align-items:start;gap:1.5rem 2.5rem;display:grid}.cl-root .drop{border:1.5px dashed var(--faint);text-align:center;background:var(--raised);border-radius:10px;padding:1.5rem 1.2rem}.cl-root .drop.over{background:var(--sunk);border-color:var(--ink)}.cl-root .probabilities{grid-template-columns:minmax(5rem,11rem) minmax(0,1fr) 3.8rem;align-items:center;gap:.3rem .6rem;margin:.4rem 0;font-size:.86rem;display:grid}.cl-root .probabilities .bar{background:var(--sunk);border-radius:3px;height:1.05rem;position:relative}.cl-root .probabilities .bar i{background:var(--null);opacity:.45;border-radius:3px;position:absolute;inset:0 auto 0 0}.cl-root .probabilities .bar b{background:var(--mode);border-radius:2px;position:absolute;inset:3px auto 3px 0}.cl-root .switches{gap:.2rem;display:grid}.cl-root .switch{border-bottom:1px solid var(--rule);grid-template-columns:2.6rem minmax(0,1fr) minmax(6rem,11rem) 2.9rem 4.2rem;align-items:center;gap:.6rem;padding:.22rem 0;font-size:.87rem;display:grid}.cl-root .switch .picture{width:2.6rem}.cl-root progress{width:100%;height:.6rem;accent-color:var(--accent)}.cl-root .busy{color:var(--soft);padding:2rem 0}@media (max-width:760px){.cl-root{display:block}.cl-root nav.main{border-right:0;border-bottom:1px solid var(--rule);height:auto;padding:.7rem .6rem .5rem;position:static;overflow-x:auto}.cl-root nav.main .brand{display:none}.cl-root nav.main ul{gap:.1rem;display:flex}.cl-root nav.main a{white-space:nowrap;padding:.35rem .6rem}.cl-root .try{grid-template-columns:minmax(0,1fr)}.cl-root .switch{grid-template-columns:2.2rem minmax(0,1fr) 4rem}.cl-root .switch input{grid-column:2}.cl-root .switch .factor{grid-column:3}.cl-root .switch .effect{display:none}}@media print{.cl-root{color:#000;background:#fff;display:block}.cl-root nav.main,.cl-root .controls,.cl-root button,.cl-root .skip{display:none!important}.cl-root main{max-width:none;padding:0}.cl-root .grid-box{height:auto;overflow:visible}.cl-root section{break-inside:avoid-page}}@media (prefers-reduced-motion:no-preference){.cl-root .bar b,.cl-root .bar i{transition:width .12s}}", nf = (e, t) => [e, ...t.map((e) => encodeURIComponent(String(e)))].join("/"), rf = class extends Error {};
async function af(e) {
	let t;
	try {
		t = await e.json();
	} catch {
		throw new rf("The explorer gave no answer; is it still running?");
	}
	if (!e.ok) throw new rf(t.error ?? `The explorer answered ${e.status}.`);
	return t;
}
var of = class {
	found = /* @__PURE__ */ new Map();
	get(e, t) {
		let n = this.found.get(e);
		return n || (n = t(), this.found.set(e, n), n.catch(() => this.found.delete(e))), n;
	}
	forget() {
		this.found.clear();
	}
}, sf = class e {
	about;
	live;
	note;
	kept = new of();
	constructor(e) {
		this.about = e, this.live = e.live ? new uf() : null, this.note = async (e, t, n) => {
			await lf("PUT", "api/notes", {
				site: e,
				mode: t,
				...n
			}), this.kept.forget();
		};
	}
	static async open() {
		return new e(await af(await cf("api/about")));
	}
	view(e, ...t) {
		let n = nf(e, t);
		return this.kept.get(n, async () => af(await cf(`api/view/${n}`)));
	}
	picture(e, t) {
		return this.about.live ? `api/picture/${e}?side=${t}` : null;
	}
	async maps(e, t) {
		if (!this.about.live) return null;
		let n = `api/maps/${encodeURIComponent(e)}/${t}`;
		return this.kept.get(n, async () => af(await cf(n)));
	}
};
async function cf(e, t) {
	try {
		return await fetch(e, t);
	} catch {
		throw new rf("The explorer cannot be reached; is codeclens explore still running?");
	}
}
var lf = async (e, t, n) => af(await cf(t, {
	method: e,
	headers: { "content-type": "application/json" },
	body: JSON.stringify(n)
})), uf = class {
	async upload(e) {
		return (await af(await cf("api/upload", {
			method: "POST",
			headers: { "content-type": "application/octet-stream" },
			body: e
		}))).picture;
	}
	async explain(e) {
		return (await lf("POST", "api/explain", e)).job;
	}
	async job(e) {
		return af(await cf(`api/jobs/${e}`));
	}
	async cancel(e) {
		await af(await cf(`api/jobs/${e}`, { method: "DELETE" }));
	}
	switch(e, t, n) {
		return lf("POST", "api/switch", {
			job: e,
			site: t,
			factors: n
		});
	}
}, df = class {
	data;
	about = {
		live: !1,
		reason: "This is a snapshot; codeclens explore shows the run with its network.",
		uploads: !1,
		outputs: null
	};
	live = null;
	note = null;
	kept = new of();
	constructor(e) {
		this.data = e;
	}
	view(e, ...t) {
		let n = nf(e, t);
		return this.kept.get(n, async () => {
			let e = this.data.views[n];
			if (!e) throw new rf("This page is not part of the snapshot; codeclens explore shows it.");
			return e;
		});
	}
	picture(e) {
		return this.data.pictures[e] ?? null;
	}
	async maps(e, t) {
		return this.data.maps[nf(e, [t])] ?? null;
	}
}, ff = class {
	model;
	about;
	live = null;
	note;
	kept = new of();
	waiting = /* @__PURE__ */ new Map();
	count = 0;
	pictures = /* @__PURE__ */ new Map();
	constructor(e) {
		this.model = e, this.about = e.get("about");
		for (let [t, n] of Object.entries(e.get("pictures") ?? {})) this.pictures.set(Number(t), n);
		e.on("msg:custom", (e) => {
			let t = this.waiting.get(e?.id);
			t && (this.waiting.delete(e.id), e.error ? t.failed(new rf(e.error)) : t.done(e.found));
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
		let n = nf(e, t);
		return this.kept.get(n, () => this.ask("view", { address: n }));
	}
	picture(e) {
		return this.pictures.get(e) ?? null;
	}
	async maps() {
		return null;
	}
};
// src/main.ts
function pf(e, t, n) {
	let r = document.createElement("style");
	return r.textContent = n ? tf : `body { margin: 0; } ${tf}`, e.append(r), Vr(ef, {
		target: e,
		props: {
			source: t,
			boxed: n
		}
	});
}
async function mf(e) {
	document.documentElement.lang = "en";
	let t = document.getElementById("codeclens-data")?.textContent;
	try {
		pf(e, t ? new df(JSON.parse(t)) : await sf.open(), !1);
	} catch (t) {
		e.textContent = t.message;
	}
}
var hf = typeof document > "u" ? null : document.getElementById("codeclens-explorer");
hf && mf(hf);
var gf = { render({ model: e, el: t }) {
	let n = pf(t.attachShadow({ mode: "open" }), new ff(e), !0);
	return () => void Gr(n);
} };
export { gf as default };

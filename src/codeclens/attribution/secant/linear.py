"""What secant propagation leaves as it is: linear operations, and those that only look."""

from __future__ import annotations

from codeclens.attribution.secant.mode import LINEAR

_NAMES = """
    add add_ __add__ __radd__ __iadd__ sub sub_ __sub__ __rsub__ __isub__ subtract rsub neg neg_
    __neg__ positive sum mean cumsum trace
    conv_tbc diff nansum nanmean sum_to_size
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    interpolate upsample fold unfold im2col col2im pixel_shuffle pixel_unshuffle
    channel_shuffle pad constant_pad_nd dropout dropout_ dropout1d dropout2d dropout3d
    alpha_dropout feature_dropout native_dropout
    reshape view view_as reshape_as permute transpose transpose_ swapaxes swapdims movedim moveaxis
    flatten unflatten squeeze squeeze_ unsqueeze unsqueeze_ expand expand_as broadcast_to
    broadcast_tensors contiguous clone detach detach_ to type type_as float double half bfloat16
    cpu cuda cat concat concatenate stack hstack vstack dstack split chunk tensor_split unbind
    split_with_sizes unsafe_chunk unsafe_split narrow select index_select gather take
    take_along_dim __getitem__ __get__ __set__ __setitem__ copy_ roll flip fliplr flipud rot90
    repeat repeat_interleave tile t T mT diagonal diag tril triu masked_fill masked_fill_
    masked_select requires_grad_ register_hook retain_grad rename identity
    zeros_like ones_like empty_like full_like rand_like randn_like new_zeros new_ones new_empty
    new_full new_tensor zero_ fill_ size dim stride numel is_floating_point argmax argmin __len__
    __bool__ __format__ __repr__ __str__ item tolist numpy isnan isinf isfinite eq ne lt le gt ge
    __eq__ __ne__ __lt__ __le__ __gt__ __ge__ has_names is_contiguous element_size data_ptr
    storage_offset __hash__ _is_view is_complex real_if_close affine_grid embedding one_hot
    index_copy index_copy_ index_fill index_fill_ index_add index_add_ index_put index_put_
    masked_scatter masked_scatter_ scatter_add scatter_add_ where unsqueeze_ adjoint H ravel
    diag_embed hsplit vsplit dsplit atleast_1d atleast_2d atleast_3d select_scatter slice_scatter
    diagonal_scatter block_diag real imag conj resolve_conj view_as_real view_as_complex complex
    fft_fft fft_ifft fft_rfft fft_irfft fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_fftn fft_ifftn
    fft_rfftn fft_irfftn fft_fftshift fft_ifftshift backward is_nested is_cuda
"""

LINEAR.update(_NAMES.split())

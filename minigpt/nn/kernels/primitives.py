"""What Numba has no word for: a few lines of LLVM each, with a plain stand-in for NUMBA_DISABLE_JIT=1."""
import functools

import llvmlite.ir
import numpy as np
from numba.core import cgutils, config, errors, types
from numba.extending import intrinsic
from numba.np import arrayobj

from minigpt.jit import whole_vectors


@functools.cache
def _target():
    """-> (name, features) of the processor that Numba compiles for"""
    whole_vectors()
    from numba.core.registry import cpu_target

    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    return name, features.split(",")


def vectors():
    """-> (bits, how many) of the vector registers that Numba compiles for (NUMBA_CPU_NAME and _FEATURES count).

    Without `whole_vectors` LLVM gives only AMD's processors with AVX-512 all 512 bits; Intel's it prefers to run at 256.
    """
    name, features = _target()
    count = 32 if "+avx512vl" in features or "+neon" in features else 16
    if "+avx512f" in features and (name.startswith("znver") or "-prefer-256-bit" in features):
        return 512, count
    return 256 if "+avx2" in features else 128, count


SQUARE = vectors()[0] // 32  # float32 numbers in a vector


def low_level(stand_in):
    """Decorator for an LLVM generator; the result is `stand_in` itself where nothing is compiled."""
    return (lambda generator: stand_in) if config.DISABLE_JIT else intrinsic(prefer_literal=True)


@low_level(lambda like, rows, cols: np.empty((rows, cols), like.dtype))
def stack_array(typing, like, rows, cols):
    """An uninitialised (rows, cols) array of like's dtype on the stack; rows and cols are compile-time constants.

    Its address never leaves the function, so LLVM keeps it in vector registers: the secret of a fast tile.
    """
    shape = rows.literal_value, cols.literal_value
    kind = types.Array(like.dtype, 2, "C")

    def _generate(context, builder, signature, arguments):
        item = context.get_value_type(like.dtype)
        size = context.get_abi_sizeof(item)
        pointer = cgutils.alloca_once(builder, item, size=shape[0] * shape[1])
        pointer.align = 64
        array = context.make_array(kind)(context, builder)
        shape_and_strides = [[context.get_constant(types.intp, number) for number in numbers]
                             for numbers in (shape, (shape[1] * size, size))]
        arrayobj.populate_array(array, pointer, *shape_and_strides, context.get_constant(types.intp, size), None)
        return array._getvalue()

    return kind(like, rows, cols), _generate


def _copy_row(target, i, j, source, k, l, count):
    target[i, j : j + count] = source[k, l : l + count]


@low_level(_copy_row)
def copy_row(typing, target, i, j, source, k, l, count):
    """target[i, j:j+count] = source[k, l:l+count] for a compile-time count, unchecked.

    One memcpy, which LLVM splits into vector registers: a loop would be unrolled into scalar moves.
    """
    number = count.literal_value
    if target.dtype != source.dtype:
        raise errors.TypingError(f"a row of {source.dtype} cannot be copied byte by byte into {target.dtype}")

    def _generate(context, builder, signature, arguments):
        pointers = []
        for at in (0, 3):
            kind, *indices = signature.args[at : at + 3]
            array = context.make_array(kind)(context, builder, arguments[at])
            indices = [context.cast(builder, arguments[at + 1 + n], indices[n], types.intp) for n in (0, 1)]
            pointers.append(cgutils.get_item_pointer(context, builder, kind, array, indices))
        size = context.get_abi_sizeof(context.get_value_type(target.dtype))
        cgutils.raw_memcpy(builder, *pointers, context.get_constant(types.intp, number), size, align=size)
        return context.get_dummy_value()

    return types.void(target, i, j, source, k, l, count), _generate


@low_level(lambda x: x)
def contiguous(typing, x):
    """The same array, declared C-contiguous to the compiler: the caller has made sure that it is."""
    def _generate(context, builder, signature, arguments):
        return arrayobj.impl_ret_borrowed(context, builder, signature.return_type, arguments[0])

    return x.copy(layout="C")(x), _generate


def _transpose_square(source, i, j, target, k, l):
    target[k : k + SQUARE, l : l + SQUARE] = source[i : i + SQUARE, j : j + SQUARE].T


@low_level(_transpose_square)
def transpose_square(typing, source, i, j, target, k, l):
    """target[k:k+n, l:l+n] = source[i:i+n, j:j+n].T for n = SQUARE, unchecked.

    Interleaving row r with row r + n/2, log2(n) times over, is a transposition: n log2(n) instructions for n^2 numbers.
    """
    n = SQUARE
    halves = [[half + lane // 2 + lane % 2 * n for lane in range(n)] for half in (0, n // 2)]

    def _generate(context, builder, signature, arguments):
        item = context.get_value_type(source.dtype)
        vector, align = llvmlite.ir.VectorType(item, n), context.get_abi_sizeof(item)
        masks = [llvmlite.ir.Constant(llvmlite.ir.VectorType(llvmlite.ir.IntType(32), n), half) for half in halves]

        def _pointer(at, row):
            index = [context.cast(builder, arguments[at + d], signature.args[at + d], types.intp) for d in (1, 2)]
            index[0] = builder.add(index[0], context.get_constant(types.intp, row))
            array = context.make_array(signature.args[at])(context, builder, arguments[at])
            item_pointer = cgutils.get_item_pointer(context, builder, signature.args[at], array, index)
            return builder.bitcast(item_pointer, vector.as_pointer())

        rows = [builder.load(_pointer(0, row), align=align) for row in range(n)]
        for _ in range(n.bit_length() - 1):
            rows = [builder.shuffle_vector(rows[r], rows[r + n // 2], mask) for r in range(n // 2) for mask in masks]
        for row in range(n):
            builder.store(rows[row], _pointer(3, row), align=align)
        return context.get_dummy_value()

    return types.void(source, i, j, target, k, l), _generate


@low_level(lambda a, b: b if b > a or a != a else a)
def maximum(typing, a, b):
    """The larger of two floats, the other one if one is NaN. A loop of it becomes vector instructions, max() does not."""
    def _generate(context, builder, signature, arguments):
        kind = arguments[0].type
        name = "llvm.maxnum.f32" if a == types.float32 else "llvm.maxnum.f64"
        function = cgutils.get_or_insert_function(builder.module, llvmlite.ir.FunctionType(kind, [kind, kind]), name)
        return builder.call(function, arguments)

    return a(a, a), _generate


def converts_halves():
    """Whether the processor that Numba compiles for turns float16 into float32 a vector at a time."""
    return not config.DISABLE_JIT and not {"+f16c", "+neon"}.isdisjoint(_target()[1])


@low_level(lambda x: x)
def number(typing, x):
    """The float32 of a float16, whose bits an unsigned integer holds; a float is itself. Only where `converts_halves`."""
    def _generate(context, builder, signature, arguments):
        if x != types.uint16:
            return arguments[0]
        return builder.fpext(builder.bitcast(arguments[0], llvmlite.ir.HalfType()), llvmlite.ir.FloatType())

    return (types.float32 if x == types.uint16 else x)(x), _generate


def _bytes_at(context, builder):
    """A place for the control word, as the two instructions below want it."""
    word = cgutils.alloca_once(builder, llvmlite.ir.IntType(32))
    kind = llvmlite.ir.FunctionType(llvmlite.ir.VoidType(), [llvmlite.ir.IntType(8).as_pointer()])
    return word, builder.bitcast(word, kind.args[0]), kind


@low_level(lambda: 0)
def read_control(typing):
    """This thread's control word of x86's vector instructions (MXCSR): how they round, and what tiny numbers are to them."""
    def _generate(context, builder, signature, arguments):
        word, place, kind = _bytes_at(context, builder)
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse.stmxcsr"), [place])
        return builder.load(word)

    return types.uint32(), _generate


@low_level(lambda word: None)
def write_control(typing, word):
    """Set what read_control reads."""
    def _generate(context, builder, signature, arguments):
        word, place, kind = _bytes_at(context, builder)
        builder.store(arguments[0], word)
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse.ldmxcsr"), [place])
        return context.get_dummy_value()

    return types.void(types.uint32), _generate

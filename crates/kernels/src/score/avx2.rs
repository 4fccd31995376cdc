//! 32 rows per instruction.
#![expect(unsafe_code, reason = "vector loads take raw pointers")]

use core::arch::x86_64::*;

use super::{BLOCK_ROWS, Comparison, Membership, Program, Slice};

/// Rows of a register.
const REGISTER_ROWS: usize = 32;

/// Registers that hold one slice of a whole block.
const REGISTERS_MAX: usize = BLOCK_ROWS / REGISTER_ROWS;

/// As the scalar path; only to be chosen where AVX2 was found. Few rows take one register instead of a whole block's.
pub(super) fn leaves(program: &Program, slices: &[Slice], begin: (usize, usize), bins: &[u8], index: &mut [u8]) {
    // Every offset was made from a column below `columns`; this is what the loads below rely on.
    assert!(bins.len() >= program.columns * BLOCK_ROWS);
    let mut all = [0; BLOCK_ROWS];
    // SAFETY: `Program::add` chooses this path only where AVX2 was found, and the assertion covers every offset.
    unsafe {
        match index.len() {
            ..=REGISTER_ROWS => leaves_avx2::<1>(program, slices, begin, bins, &mut all),
            _ => leaves_avx2::<REGISTERS_MAX>(program, slices, begin, bins, &mut all),
        }
    }
    index.copy_from_slice(&all[..index.len()]);
}

/// # Safety
/// The processor has AVX2, and `bins` holds `program.columns` columns.
#[target_feature(enable = "avx2")]
unsafe fn leaves_avx2<const REGISTERS: usize>(
    program: &Program,
    slices: &[Slice],
    begin: (usize, usize),
    bins: &[u8],
    index: &mut [u8; BLOCK_ROWS],
) {
    let zero = _mm256_setzero_si256();
    // The bits of the first slice that is not empty, and the number of its first leaf.
    let (mut open, mut first) = ([zero; REGISTERS], [zero; REGISTERS]);
    for number in (0..slices.len()).rev() {
        let slice = slices[number];
        let from = match number {
            0 => begin,
            _ => (slices[number - 1].comparisons_end as usize, slices[number - 1].memberships_end as usize),
        };
        let mut bits = [_mm256_set1_epi8(-1); REGISTERS];
        for test in &program.comparisons[from.0..slice.comparisons_end as usize] {
            // SAFETY: the caller vouches for the columns.
            unsafe { compare(&mut bits, test, bins) };
        }
        for test in &program.memberships[from.1..slice.memberships_end as usize] {
            // SAFETY: the caller vouches for the columns.
            unsafe { look_up(&mut bits, test, bins) };
        }
        let number = _mm256_set1_epi8((number * 8) as i8);
        for block in 0..REGISTERS {
            let empty = _mm256_cmpeq_epi8(bits[block], zero);
            open[block] = _mm256_blendv_epi8(bits[block], open[block], empty);
            first[block] = _mm256_blendv_epi8(number, first[block], empty);
        }
    }
    for block in 0..REGISTERS {
        let leaf = _mm256_add_epi8(first[block], trailing_zeros(open[block]));
        // SAFETY: `index` holds `REGISTERS_MAX` registers, and `REGISTERS` are no more.
        unsafe { _mm256_storeu_si256(index.as_mut_ptr().add(block * REGISTER_ROWS).cast(), leaf) };
    }
}

/// # Safety
/// The processor has AVX2, and the test's column lies in `bins`.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn compare<const REGISTERS: usize>(bits: &mut [__m256i; REGISTERS], test: &Comparison, bins: &[u8]) {
    let flip = _mm256_set1_epi32(test.flip.cast_signed());
    let threshold = _mm256_set1_epi32(test.threshold.cast_signed());
    let clear = _mm256_set1_epi32(test.clear.cast_signed());
    // SAFETY: the column of `BLOCK_ROWS` bytes from `offset` lies in `bins`.
    unsafe {
        let column = bins.as_ptr().add(test.offset as usize);
        for (block, bits) in bits.iter_mut().enumerate() {
            let bin = _mm256_xor_si256(_mm256_loadu_si256(column.add(block * REGISTER_ROWS).cast()), flip);
            let out = _mm256_and_si256(_mm256_cmpgt_epi8(bin, threshold), clear);
            *bits = _mm256_andnot_si256(out, *bits);
        }
    }
}

/// # Safety
/// The processor has AVX2, and the test's column lies in `bins`.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn look_up<const REGISTERS: usize>(bits: &mut [__m256i; REGISTERS], test: &Membership, bins: &[u8]) {
    let clear = _mm256_set1_epi32(test.clear.cast_signed());
    let powers = _mm256_setr_epi8(
        1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32,
        64, -128,
    );
    // SAFETY: `set` holds 32 bytes, and the column of `BLOCK_ROWS` bytes from `offset` lies in `bins`.
    unsafe {
        let low = _mm256_broadcastsi128_si256(_mm_loadu_si128(test.set.as_ptr().cast()));
        let high = _mm256_broadcastsi128_si256(_mm_loadu_si128(test.set.as_ptr().add(16).cast()));
        let column = bins.as_ptr().add(test.offset as usize);
        for (block, bits) in bits.iter_mut().enumerate() {
            let bin = _mm256_loadu_si256(column.add(block * REGISTER_ROWS).cast());
            let byte = _mm256_and_si256(_mm256_srli_epi16::<3>(bin), _mm256_set1_epi8(15));
            // The top bit of the bin says which half of the set its byte stands in.
            let set = _mm256_blendv_epi8(_mm256_shuffle_epi8(low, byte), _mm256_shuffle_epi8(high, byte), bin);
            let bit = _mm256_shuffle_epi8(powers, _mm256_and_si256(bin, _mm256_set1_epi8(7)));
            let member = _mm256_cmpeq_epi8(_mm256_and_si256(set, bit), bit);
            *bits = _mm256_andnot_si256(_mm256_and_si256(member, clear), *bits);
        }
    }
}

/// The place of the lowest set bit of every byte.
#[target_feature(enable = "avx2")]
#[inline]
fn trailing_zeros(bytes: __m256i) -> __m256i {
    let low = _mm256_setr_epi8(
        16, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0, 16, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0,
    );
    let high = _mm256_setr_epi8(
        16, 4, 5, 4, 6, 4, 5, 4, 7, 4, 5, 4, 6, 4, 5, 4, 16, 4, 5, 4, 6, 4, 5, 4, 7, 4, 5, 4, 6, 4, 5, 4,
    );
    let nibble = _mm256_set1_epi8(15);
    let of_low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, nibble));
    let of_high = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble));
    _mm256_min_epu8(of_low, of_high)
}

// Linear forms over ciphertexts, exact modulo 2^64.
//
//     target[i·rows + r] = sum_t coefficient_t · source[slot_t·rows + r] + constant_i
//
// One thread per word. Blocks: x over (form i, row r), y over the words of a ciphertext.
#include "device.cuh"

/// One term of a form: 8 bytes, as `Term` of the host.
struct Term {
    u32 slot;
    i32 coefficient;
};

KERNEL(linear, 256, 1, 1,
       (Global<const Term> terms,     // [term], those of form i end before ends[i]
        Global<const u32> ends,       // [form]
        Global<const u64> constants,  // [form]
        Global<const u64> source,     // [slot][row][word < size]
        Global<u64> target,           // [form][row][word < size]
        u32 size, u32 rows)) {
    const u32 word = block_index_y() * 256 + thread_index();
    if (word >= size) return;
    const u32 form = block_index() / rows, row = block_index() % rows;
    // The constant belongs to the body, the last word.
    u64 sum = word + 1 == size ? constants[form] : 0;
    const u32 end = ends[form];
    for (u32 t = form == 0 ? 0 : ends[form - 1]; t < end; ++t) {
        const Term term = terms[t];
        const u64 at = (static_cast<u64>(term.slot) * rows + row) * size + word;
        sum += static_cast<u64>(static_cast<i64>(term.coefficient)) * source[at];
    }
    target[static_cast<u64>(block_index()) * size + word] = sum;
}

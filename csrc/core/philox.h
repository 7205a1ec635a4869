// Philox4x32-10: a counter-based generator (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy
// as 1, 2, 3", SC11). Four random words are a function of a key and a counter alone, so that any element of
// a random array can be computed by any thread of any device, in any order.
#pragma once

#include <cstdint>

namespace ranvier {

// The multipliers of the two products of a round, and what the key gains from round to round.
constexpr uint32_t kPhiloxMultiplier[2] = {0xD2511F53u, 0xCD9E8D57u};
constexpr uint32_t kPhiloxWeyl[2] = {0x9E3779B9u, 0xBB67AE85u};  // golden ratio, sqrt(3) - 1
constexpr int kPhiloxRounds = 10;

// One generator at one place: the key, and the number of the next block of four words. Word i of the stream
// is word i % 4 of block counter + i / 4; the block's number is the low half of Philox's 128-bit counter.
struct PhiloxStream {
  uint64_t key;
  uint64_t counter;
};

// One block, for any 128-bit counter; both in words, the lowest first.
void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

}  // namespace ranvier

#pragma once
// Sweeps: every failing operation, every place to die, pairs of crashes, flipped bits, power cuts.
// Each prints a line of figures, and for a failure one command that replays it. Pairs, flips and
// power can be run in parts: --from N, --minutes M.

#include <cstdint>
#include <map>
#include <string>

namespace headrace::simulation {

inline constexpr const char* kProgram = "build/release/tests/simulation/headrace_simulation";

enum class Length : uint8_t { kShort, kLong };

// --name value pairs of the command line.
using Arguments = std::map<std::string, std::string>;
uint64_t NumberOf(const Arguments& arguments, const std::string& name, uint64_t otherwise);

// Each operation of a smoke run fails once: --kind K --number N --clock C for one alone.
int SweepFailures(const Arguments& arguments, Length length);
// The process dies before each change of the disk in a smoke run: --number N --clock C.
int SweepCrashes(const Arguments& arguments, Length length);
// A crash at one point, then at another during or after recovery: --first A --second B --seed S.
int SweepPairs(const Arguments& arguments, Length length);
// Bits of a finished data folder are flipped: --seed S --flip N.
int SweepFlips(const Arguments& arguments, Length length);
// Power cuts, one after the other, with a look at the log after each: --seed S.
int SweepPower(const Arguments& arguments, Length length);

}  // namespace headrace::simulation

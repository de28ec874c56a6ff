#pragma once
// One bit of a finished data folder turned over: found, mended, or shown to matter to nobody.

#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "env/simulated/disk.h"
#include "env/simulated/environment.h"

namespace headrace::simulation {

class World;

struct Flip {
  std::string path;
  uint64_t offset = 0;
  int bit = 0;
};

// Data files that the newest version of the table does not name: replaced by others, or not yet
// committed. Nobody reads them.
std::set<std::string> UnreadDataFiles(env::simulated::SimulatedEnvironment& machine);

// First the kind of file, then the file, then the place; half of them where the file is not blank.
// Nothing when there is no file of ours yet. None of `unread`.
std::optional<Flip> DrawFlip(const env::simulated::Disk& disk, const std::set<std::string>& unread,
                             std::mt19937_64& random);

struct FlipVerdict {
  std::optional<std::string> wrong;
  enum class Is : uint8_t {
    kDetected,  // refused, or warned of, with the file's name
    kRepaired,  // all is right, and the damaged bytes are no longer there
    kHarmless,  // all is right, and what is read of the damaged bytes is what it was
  } is = Is::kDetected;
};

// Starts an engine on a copy of the world's disk with this bit flipped and makes all checks there.
// Wrong is: a row or an answer that is not right; a refusal that does not name the file; a damaged
// file that nobody noticed; another file that is gone, or was touched by a start that refused.
FlipVerdict TryFlip(World& world, const Flip& flip, uint64_t seed);

}  // namespace headrace::simulation

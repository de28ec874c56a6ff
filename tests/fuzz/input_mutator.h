#pragma once
// Changes to an input, from a seed: the same seed makes the same inputs.

#include <random>
#include <string>
#include <vector>

namespace headrace::fuzz {

// Not thread-safe.
class InputMutator {
 public:
  // `seeds`: whole inputs to begin with and to take parts of; at least one.
  InputMutator(std::vector<std::string> seeds, uint64_t seed);
  // A seed with one to eight changes, at most kBytesMax long.
  std::string Next();

  static constexpr size_t kBytesMax = 4096;

 private:
  void Change(std::string& input);
  size_t Below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  std::vector<std::string> seeds_;
  std::mt19937_64 random_;
};

}  // namespace headrace::fuzz

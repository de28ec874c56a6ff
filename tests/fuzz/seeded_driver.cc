// Calls a fuzz target without libFuzzer:
//   TARGET FILE...                               each file once
//   TARGET --seconds S [--seed N] FOLDER         inputs made from the folder's files, and those
//   files TARGET --rounds R [--seed N] FOLDER          so many of them
// An input that ends the process, or that takes longer than a minute, is written to
// fuzz-failure-SEED-ROUND, and the command that replays it is printed.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/input_mutator.h"
#include "fuzz/target.h"

namespace headrace::fuzz {
namespace {

constexpr unsigned kHangS = 60;

// What the handler of a deadly signal needs. It may only call what is safe there.
struct Current {
  std::string input;
  char file[96] = "";
  char replay[600] = "";
} current;

void WriteFailure(int number) {
  if (std::FILE* out = std::fopen(current.file, "wb")) {
    std::fwrite(current.input.data(), 1, current.input.size(), out);
    std::fclose(out);
  }
  std::fputs(number == SIGALRM ? "fuzz: an input took over a minute\n" : "fuzz: died\n", stderr);
  std::fputs(current.replay, stderr);
  std::signal(number, SIG_DFL);
  std::raise(number == SIGALRM ? SIGKILL : number);
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// In the order of their names, so that a seed means the same on every disk.
std::vector<std::string> ReadFolder(const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_regular_file()) paths.push_back(entry.path());
  std::ranges::sort(paths);
  std::vector<std::string> inputs;
  for (const auto& path : paths) inputs.push_back(ReadFile(path));
  return inputs;
}

void RunOne(const std::string& input) {
  current.input = input;
  alarm(kHangS);
  // Exactly as large as it is, so that reading past it is caught.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  alarm(0);
}

struct Options {
  uint64_t seconds = 0;
  uint64_t rounds = 0;
  uint64_t seed = 1;
  std::vector<std::string> paths;
};

int Run(const char* self, const Options& options) {
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM})
    std::signal(number, WriteFailure);
  const auto name = [&](uint64_t round) {
    std::snprintf(current.file, sizeof current.file, "fuzz-failure-%llu-%llu",
                  static_cast<unsigned long long>(options.seed),
                  static_cast<unsigned long long>(round));
    std::snprintf(current.replay, sizeof current.replay, "replay: %s %s\n", self, current.file);
  };
  name(0);
  if (options.seconds == 0 && options.rounds == 0) {
    for (const std::string& path : options.paths) RunOne(ReadFile(path));
    return 0;
  }
  std::vector<std::string> seeds = ReadFolder(options.paths.at(0));
  for (const std::string& seed : seeds) RunOne(seed);
  seeds.emplace_back("\0", 1);
  InputMutator mutator(std::move(seeds), options.seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options.seconds);
  uint64_t round = 0;
  while (options.rounds > 0 ? round < options.rounds : std::chrono::steady_clock::now() < end) {
    name(++round);
    RunOne(mutator.Next());
  }
  std::printf("%llu inputs, seed %llu\n", static_cast<unsigned long long>(round),
              static_cast<unsigned long long>(options.seed));
  return 0;
}

}  // namespace
}  // namespace headrace::fuzz

int main(int argc, char** argv) {
  headrace::fuzz::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    uint64_t* number = word == "--seconds"  ? &options.seconds
                       : word == "--rounds" ? &options.rounds
                       : word == "--seed"   ? &options.seed
                                            : nullptr;
    if (number == nullptr)
      options.paths.push_back(word);
    else if (++i < argc)
      *number = std::strtoull(argv[i], nullptr, 10);
  }
  if (options.paths.empty()) {
    std::fprintf(stderr, "%s [--seconds S | --rounds R] [--seed N] FOLDER | FILE...\n", argv[0]);
    return 2;
  }
  return headrace::fuzz::Run(argv[0], options);
}

// Runs text cases: run_cases FILE... compares each [expect] with what the command before it showed;
// --rewrite writes what was shown into the files instead, for review. Exit 1 when a case differs or
// can't be read.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "base/log.h"
#include "text/case_engine.h"
#include "text/case_file.h"

namespace headrace::tests {
namespace {

base::Result<std::string> ReadText(const std::string& path) {
  std::ifstream in(path);
  if (!in) return base::Fail(base::ErrorCode::kNotFound, fmt::format("can't read {}", path));
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// The pipeline and contracts of a case, those of the files it uses included.
struct Inputs {
  std::string pipeline;
  std::map<std::string, std::string> files;
  std::map<std::string, std::string> others;  // pipelines by name
};

base::Result<void> Gather(const CaseFile& file, Inputs& inputs) {
  for (const CaseSection& section : file.sections) {
    if (section.verb == "use" && section.words.size() == 1) {
      const std::string path = std::filesystem::path(file.path).parent_path() / section.words[0];
      HR_TRY(const std::string text, ReadText(path));
      HR_TRY(const CaseFile used, CaseFile::Parse(path, text));
      HR_TRY_VOID(Gather(used, inputs));
    } else if (section.verb == "pipeline" && section.words.size() == 1) {
      inputs.others[section.words[0]] = section.body + "\n";
    } else if (section.verb == "pipeline") {
      inputs.pipeline = section.body + "\n";
    } else if (section.verb == "contract" && section.words.size() == 1) {
      inputs.files[section.words[0]] = section.body + "\n";
    }
  }
  return {};
}

bool IsInput(const CaseSection& section) {
  return section.verb == "use" || section.verb == "pipeline" || section.verb == "contract";
}

enum class Mode { kCompare, kRewrite };

// True when everything was as expected (or was rewritten).
base::Result<bool> RunCase(const std::string& path, Mode mode) {
  HR_TRY(const std::string text, ReadText(path));
  HR_TRY(CaseFile file, CaseFile::Parse(path, text));
  Inputs inputs;
  HR_TRY_VOID(Gather(file, inputs));
  CaseEngine engine(inputs.pipeline, inputs.files, inputs.others);
  bool same = true;
  size_t expectations = 0;
  std::string shown;
  for (CaseSection& section : file.sections) {
    if (IsInput(section)) continue;
    if (section.verb != "expect") {
      HR_TRY(shown, engine.Run(section));
      continue;
    }
    ++expectations;
    if (section.body == shown) continue;
    if (mode == Mode::kRewrite) {
      section.body = shown;
    } else {
      same = false;
      fmt::print(stderr, "{}:{}: expected\n{}\n--- but it shows\n{}\n", path, section.line,
                 section.body, shown);
    }
  }
  if (expectations == 0)
    return base::Fail(base::ErrorCode::kInvalidInput,
                      fmt::format("{}: a case without [expect] can't fail", path));
  if (mode == Mode::kRewrite) std::ofstream(path) << file.ToText();
  return same;
}

int RunAll(const std::vector<std::string>& paths, Mode mode) {
  size_t failed = 0;
  for (const std::string& path : paths) {
    const auto same = RunCase(path, mode);
    if (!same) fmt::print(stderr, "{}\n", same.error().ToString());
    if (!same || !*same) ++failed;
  }
  fmt::print("{} cases, {} failed\n", paths.size(), failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace headrace::tests

int main(int argc, char** argv) {
  using headrace::tests::Mode;
  Mode mode = Mode::kCompare;
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--rewrite") {
      mode = Mode::kRewrite;
    } else {
      paths.emplace_back(argv[i]);
    }
  }
  headrace::base::SetLogSink([](const headrace::base::LogLine&) {});
  return headrace::tests::RunAll(paths, mode);
}

#include "log/log_folder.h"

#include <charconv>

#include <fmt/core.h>

#include "base/hash.h"

namespace headrace::log {
namespace {

using base::ErrorCode;
using base::Fail;

constexpr std::string_view kPrefix = "epoch-";
constexpr std::string_view kSuffix = ".log";
constexpr size_t kDigits = 20;
constexpr std::string_view kResiduePrefix = "residue-";
constexpr std::string_view kFormatLine = "headrace log 1\n";
constexpr std::string_view kFormatWords = "headrace log ";

std::string LogFilePath(const std::string& folder) { return folder + "/LOG"; }

std::string LogFileText(base::LogId id) {
  std::string text = fmt::format("{}{}\n", kFormatLine, id.ToString());
  return text + fmt::format("{:016x}\n", base::Hash64(text));
}

std::unexpected<base::Error> Corrupt(const std::string& path, std::string what) {
  return Fail(base::Error(ErrorCode::kCorruption, std::move(what)).With("file", path));
}

base::Result<base::LogId> ParseLogFile(const std::string& path, std::string_view text) {
  if (!text.starts_with(kFormatLine)) {
    if (text.starts_with(kFormatWords))
      return Fail(base::Error(ErrorCode::kUnsupported,
                              "this log was written by a newer version: use that one")
                      .With("file", path));
    return Corrupt(path, "this is no log: the file does not begin as one");
  }
  const auto id = base::LogId::Parse(text.substr(kFormatLine.size(), 32));
  if (!id || text != LogFileText(*id)) return Corrupt(path, "the log's id fails its checksum");
  return *id;
}

}  // namespace

std::string SegmentPath(const std::string& folder, base::EpochId first) {
  return fmt::format("{}/{}{:020}{}", folder, kPrefix, first.value, kSuffix);
}

namespace {

// The twenty digits at `at`.
std::optional<base::EpochId> ParseDigits(std::string_view name, size_t at) {
  const char* first = name.data() + at;
  base::EpochId id;
  const auto [end, error] = std::from_chars(first, first + kDigits, id.value);
  if (error != std::errc() || end != first + kDigits) return std::nullopt;
  return id;
}

}  // namespace

std::optional<base::EpochId> ParseSegmentName(std::string_view name) {
  if (name.size() != kPrefix.size() + kDigits + kSuffix.size() || !name.starts_with(kPrefix) ||
      !name.ends_with(kSuffix))
    return std::nullopt;
  return ParseDigits(name, kPrefix.size());
}

std::string ResiduePath(const std::string& folder, base::EpochId first, base::EpochId last) {
  return fmt::format("{}/{}{:020}-{:020}{}", folder, kResiduePrefix, first.value, last.value,
                     kSuffix);
}

std::optional<ResidueName> ParseResidueName(const std::string& folder, std::string_view name) {
  const size_t second = kResiduePrefix.size() + kDigits + 1;
  if (name.size() != second + kDigits + kSuffix.size() || !name.starts_with(kResiduePrefix) ||
      name[second - 1] != '-' || !name.ends_with(kSuffix))
    return std::nullopt;
  const auto first = ParseDigits(name, kResiduePrefix.size());
  const auto last = ParseDigits(name, second);
  if (!first || !last) return std::nullopt;
  return ResidueName{*first, *last, folder + "/" + std::string(name)};
}

base::Result<LogFiles> ListLog(env::Files& files, const std::string& folder) {
  HR_TRY(const std::vector<std::string> names, files.List(folder));
  LogFiles found;
  for (const std::string& name : names) {  // sorted, and twenty digits sort as numbers
    if (const auto first = ParseSegmentName(name))
      found.segments.push_back({*first, folder + "/" + name});
    else if (auto residue = ParseResidueName(folder, name))
      found.residues.push_back(*std::move(residue));
  }
  return found;
}

base::Result<std::vector<SegmentName>> ListSegments(env::Files& files, const std::string& folder) {
  HR_TRY(LogFiles found, ListLog(files, folder));
  return std::move(found.segments);
}

base::Result<base::LogId> ReadLogId(env::Files& files, const std::string& folder) {
  const std::string path = LogFilePath(folder);
  HR_TRY(const std::vector<uint8_t> bytes, files.ReadAll(path));
  return ParseLogFile(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

base::Result<base::LogId> ReadOrCreateLogId(env::Environment& environment,
                                            const std::string& folder) {
  env::Files& files = environment.files();
  const std::string path = LogFilePath(folder);
  HR_TRY(const bool exists, files.Exists(path));
  HR_TRY(const LogFiles found, ListLog(files, folder));
  const bool is_new = found.segments.empty() && found.residues.empty();
  if (exists) {
    HR_TRY(const base::LogId id, ReadLogId(files, folder));
    if (is_new) HR_TRY_VOID(env::PutAgain(files, path));  // whoever made it may have failed in it
    return id;
  }
  if (!is_new) return Corrupt(path, "the folder has segments, but the file LOG is gone");
  base::LogId id;
  environment.Random(id.bytes);
  environment.CrashPoint("open.before_id");
  HR_TRY_VOID(WriteLogId(files, folder, id));
  return id;
}

base::Result<void> WriteLogId(env::Files& files, const std::string& folder, base::LogId id) {
  const std::string text = LogFileText(id);
  return env::PutIfAbsent(files, LogFilePath(folder),
                          {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

}  // namespace headrace::log

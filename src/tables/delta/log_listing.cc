#include "tables/delta/log_listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>
#include <utility>

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

constexpr size_t kVersionDigits = 20;
constexpr size_t kPartDigits = 10;
constexpr size_t kUuidCharacters = 36;
constexpr std::string_view kCheckpoint = ".checkpoint.";

std::optional<int64_t> Digits(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

struct Part {
  int64_t number = 0;
  int64_t of = 0;
};

// "0000000001.0000000003.parquet".
std::optional<Part> PartOf(std::string_view rest) {
  if (rest.size() != 2 * kPartDigits + 1 + std::string_view(".parquet").size()) return std::nullopt;
  if (!rest.ends_with(".parquet") || rest[kPartDigits] != '.') return std::nullopt;
  const auto number = Digits(rest.substr(0, kPartDigits));
  const auto of = Digits(rest.substr(kPartDigits + 1, kPartDigits));
  if (!number || !of || *number < 1 || *number > *of) return std::nullopt;
  return Part{*number, *of};
}

// ".00000000000000000012.compacted.json", behind the first version.
std::optional<int64_t> LastOfCompacted(std::string_view rest) {
  constexpr std::string_view kEnding = ".compacted.json";
  if (rest.size() != 1 + kVersionDigits + kEnding.size() || !rest.ends_with(kEnding))
    return std::nullopt;
  return Digits(rest.substr(1, kVersionDigits));
}

bool IsUuidName(std::string_view rest) {
  const bool known = rest.ends_with(".parquet") || rest.ends_with(".json");
  return known && rest.find('.') == kUuidCharacters;
}

// Gathers the parts of multi-part checkpoints.
class Checkpoints {
 public:
  void Add(int64_t version, std::string_view rest, const std::string& name) {
    if (rest == "parquet") {
      whole_.push_back({version, CheckpointFiles::Kind::kClassic, {name}});
    } else if (const auto part = PartOf(rest)) {
      parts_[{version, part->of}][part->number] = name;
    } else if (IsUuidName(rest)) {
      whole_.push_back({version, CheckpointFiles::Kind::kUuid, {name}});
    }
  }
  std::vector<CheckpointFiles> Finish() {
    for (const auto& [key, names] : parts_) {
      if (static_cast<int64_t>(names.size()) != key.second) continue;
      CheckpointFiles files{key.first, CheckpointFiles::Kind::kMultiPart, {}};
      for (const auto& [number, name] : names) files.names.push_back(name);
      whole_.push_back(std::move(files));
    }
    // Of one version, the classic one is tried first: nothing else must be there for it.
    std::ranges::stable_sort(whole_, [](const CheckpointFiles& a, const CheckpointFiles& b) {
      return std::tuple(a.version, b.kind) < std::tuple(b.version, a.kind);
    });
    return std::move(whole_);
  }

 private:
  std::vector<CheckpointFiles> whole_;
  std::map<std::pair<int64_t, int64_t>, std::map<int64_t, std::string>> parts_;
};

}  // namespace

std::string VersionedName(int64_t version, std::string_view ending) {
  return fmt::format("{:020}{}", version, ending);
}

std::optional<int64_t> VersionOfName(std::string_view name) {
  if (name.size() <= kVersionDigits || name[kVersionDigits] != '.') return std::nullopt;
  return Digits(name.substr(0, kVersionDigits));
}

std::optional<int64_t> LogListing::newest() const {
  return commits.empty() ? std::nullopt : std::optional(commits.back());
}

Result<LogListing> ListLog(env::Files& files, const std::string& log_folder) {
  HR_TRY(const std::vector<std::string> names, files.List(log_folder));
  LogListing listing;
  Checkpoints checkpoints;
  for (const std::string& name : names) {
    const auto version = VersionOfName(name);
    const std::string_view rest = std::string_view(name).substr(version ? kVersionDigits : 0);
    listing.had_table |= version || name == "_last_checkpoint";
    if (version && rest == ".json") {
      listing.commits.push_back(*version);
    } else if (version && rest.starts_with(kCheckpoint)) {
      checkpoints.Add(*version, rest.substr(kCheckpoint.size()), name);
    } else if (const auto last = version ? LastOfCompacted(rest) : std::nullopt;
               last && *last > *version) {
      listing.compacted.push_back({*version, *last, name});
    } else {
      listing.others.push_back(name);
    }
  }
  std::ranges::sort(listing.commits);
  std::ranges::sort(listing.compacted, [](const CompactedFile& a, const CompactedFile& b) {
    return std::tuple(a.first, b.last) < std::tuple(b.first, a.last);
  });
  listing.checkpoints = checkpoints.Finish();
  return listing;
}

const CompactedFile* CompactedFrom(const LogListing& listing, int64_t first, int64_t last) {
  for (const CompactedFile& file : listing.compacted)
    if (file.first == first && file.last <= last) return &file;
  return nullptr;
}

Result<void> CheckContiguous(const LogListing& listing, int64_t after, int64_t last) {
  auto found = std::ranges::upper_bound(listing.commits, after);
  for (int64_t version = after + 1; version <= last; ++version, ++found) {
    if (found == listing.commits.end() || *found != version)
      return Fail(ErrorCode::kCorruption,
                  fmt::format("commit {} of the log is missing: restore it from a copy", version));
  }
  return {};
}

}  // namespace headrace::tables::delta

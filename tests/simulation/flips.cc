#include "simulation/flips.h"

#include <algorithm>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "log/log_folder.h"
#include "log/record.h"
#include "simulation/world.h"
#include "tables/delta/actions.h"
#include "tables/delta/delta_reader.h"
#include "tables/delta/log_listing.h"

namespace headrace::simulation {
namespace {

using env::simulated::Disk;
using Bytes = std::vector<uint8_t>;

bool IsCommit(std::string_view path) { return path.ends_with(".json"); }

bool Contains(const Disk& disk, const std::string& path, std::string_view text) {
  const auto bytes = disk.Find(path)->bytes();
  return !std::ranges::search(bytes, text).empty();
}

bool IsCheckpoint(std::string_view path) { return path.ends_with(".checkpoint.parquet"); }

// A commit or checkpoint that nobody reads, and that may be cleaned away: a checkpoint of its
// version or a later one is there.
bool HasNewerCheckpoint(const Disk& disk, const std::string& path) {
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  const auto version_in = [&](const std::string& of) {
    return tables::delta::VersionOfName(std::string_view(of).substr(folder.size()));
  };
  const auto version = version_in(path);
  return version && std::ranges::any_of(disk.files(), [&](const auto& file) {
           if (!file.first.starts_with(folder) || !IsCheckpoint(file.first)) return false;
           const auto of = version_in(file.first);
           return of && (*of > *version || (*of == *version && file.first != path));
         });
}

// Which kinds of files there are, by name; empty: not a file that can be damaged in a way that
// matters: locks, evidence that nobody reads, what a crash left and a start removes, and what
// another writer put into the table without a checksum.
std::string KindOf(const Disk& disk, const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  if (name.starts_with('.') || name == "LOCK" || name == "retention.reserve" ||
      name == "answers.ndjson" || name == "next.segment")
    return "";
  if (path.find("/snapshots/") != std::string::npos)
    return name.starts_with("snapshot-") ? "snapshot" : "";
  if (name.starts_with("somebody-")) return "";
  // Hints, which we write for others and never read.
  if (name == "_last_checkpoint" || name.ends_with(".crc")) return "";
  if ((IsCommit(path) || IsCheckpoint(path)) && HasNewerCheckpoint(disk, path)) return "";
  if (IsCheckpoint(path)) return "checkpoint";
  if (IsCommit(path)) return Contains(disk, path, "\"engineInfo\":\"Headrace") ? "commit" : "";
  if (name.ends_with(".parquet")) return "data file";
  if (name.ends_with(".log")) return "segment";
  return name;  // LOG, DURABLE ...
}

bool Names(const std::string& text, const Flip& flip) {
  return text.find(flip.path.substr(flip.path.rfind('/') + 1)) != std::string::npos;
}

// Whether the disk has a residue of the log that covers this segment or residue: what was let go
// then is in it, and what the log has is compared row by row elsewhere.
bool IsLetGo(const Disk& disk, const std::string& path) {
  const size_t begin = path.rfind('/') + 1;
  const std::string folder = path.substr(0, begin - 1);
  const std::string_view name = std::string_view(path).substr(begin);
  const auto residue = log::ParseResidueName(folder, name);
  const auto first = residue ? residue->first : log::ParseSegmentName(name);
  if (!first) return false;
  const base::EpochId last = residue ? residue->last : *first;
  return std::ranges::any_of(disk.files(), [&](const auto& file) {
    if (!file.first.starts_with(folder + "/")) return false;
    const auto by = log::ParseResidueName(folder, std::string_view(file.first).substr(begin));
    return by && file.first != path && by->first <= *first && last <= by->last;
  });
}

// Other files than those `set_aside`: none of ours is gone; a start that refused has changed none.
std::optional<std::string> WhatElseChanged(const Disk& before,
                                           const std::set<std::string>& set_aside,
                                           const Disk& after, const Flip& flip, bool started) {
  for (const auto& [path, original] : before.files()) {
    const std::string kind = KindOf(before, path);
    if (path == flip.path || set_aside.contains(path) || kind.empty() || kind == "DURABLE")
      continue;
    const auto file = after.Find(path);
    // A core that runs takes snapshots, removes those that are too many, and lets segments go.
    if (file == nullptr && started && (kind == "snapshot" || IsLetGo(after, path))) continue;
    const bool tended = kind == "commit" || kind == "checkpoint";
    if (file == nullptr && started && tended && HasNewerCheckpoint(after, path)) continue;
    if (file == nullptr) return fmt::format("{} is gone", path);
    if (!started && !std::ranges::equal(file->bytes(), original->bytes()))
      return fmt::format("{} was changed by a start that refused", path);
  }
  return std::nullopt;
}

// Where the records of a segment end. Nobody reads what is behind, and a start that comes by warns.
uint64_t EndOfRecords(std::span<const uint8_t> segment) {
  uint64_t end = 0;
  while (end + log::kRecordAlignment <= segment.size()) {
    const auto header = log::ParseRecordHeader(segment.subspan(end));
    if (!header) break;
    end += log::RecordBytes(header->payload_bytes);
  }
  return end;
}

// What is read of both is the same.
bool ReadsTheSame(const Flip& flip, std::span<const uint8_t> original, const Bytes& damaged) {
  if (flip.path.ends_with(".log")) return flip.offset >= EndOfRecords(original);
  if (!IsCommit(flip.path)) return false;
  const auto a = tables::delta::ParseCommit(original);
  const auto b = tables::delta::ParseCommit(damaged);
  return a && b && tables::delta::RenderCommit(*a) == tables::delta::RenderCommit(*b);
}

}  // namespace

std::set<std::string> UnreadDataFiles(env::simulated::SimulatedEnvironment& machine) {
  const std::string folder = fmt::format("{}/tables/{}", kData, kStream);
  const auto table = tables::delta::DeltaReader::Open(machine, folder);
  if (!table) return {};
  std::set<std::string> live;
  for (const tables::delta::AddFile& file : (*table)->files())
    live.insert(folder + "/" + file.path);
  std::set<std::string> unread;
  for (const auto& [path, file] : machine.disk().files())
    if (path.starts_with(folder + "/") && path.ends_with(".parquet") && !IsCheckpoint(path) &&
        !live.contains(path))
      unread.insert(path);
  return unread;
}

std::optional<Flip> DrawFlip(const Disk& disk, const std::set<std::string>& unread,
                             std::mt19937_64& random) {
  std::map<std::string, std::vector<std::string>> by_kind;
  for (const auto& [path, file] : disk.files())
    if (const std::string kind = KindOf(disk, path);
        !kind.empty() && file->size() > 0 && !unread.contains(path))
      by_kind[kind].push_back(path);
  if (by_kind.empty()) return std::nullopt;
  auto kind = by_kind.begin();
  std::advance(kind, static_cast<ptrdiff_t>(random() % by_kind.size()));
  Flip flip{.path = kind->second[random() % kind->second.size()]};
  const auto bytes = disk.Find(flip.path)->bytes();
  size_t range = bytes.size();
  while (range > 1 && bytes[range - 1] == 0) --range;
  if (random() % 8 == 0) range = bytes.size();
  flip.offset = random() % range;
  flip.bit = static_cast<int>(random() % 8);
  return flip;
}

namespace {

// A start reads the newest snapshot; the others matter when those after them are gone.
std::set<std::string> SnapshotsAfter(const Disk& disk, const Flip& flip) {
  std::set<std::string> newer;
  if (KindOf(disk, flip.path) != "snapshot") return newer;
  for (const auto& [path, file] : disk.files())
    if (path > flip.path && KindOf(disk, path) == "snapshot") newer.insert(path);
  return newer;
}

}  // namespace

FlipVerdict TryFlip(World& world, const Flip& flip, uint64_t seed) {
  const Disk& before = world.machine().disk();  // at rest: only the copy goes on
  const auto copy = world.machine().Copy(seed);
  const std::set<std::string> set_aside = SnapshotsAfter(before, flip);
  for (const std::string& path : set_aside) copy->disk().Remove(path);
  const std::span<const uint8_t> intact = before.Find(flip.path)->bytes();
  copy->disk().FlipBit(flip.path, flip.offset, flip.bit);
  Bytes damaged(intact.begin(), intact.end());
  damaged[flip.offset] ^= static_cast<uint8_t>(1 << flip.bit);
  const World::Inspection found = world.Inspect(*copy);

  FlipVerdict verdict;
  const auto wrong = [&](const std::string& what) {
    verdict.wrong = fmt::format("bit {} at {} of {}: {}", flip.bit, flip.offset, flip.path, what);
    return verdict;
  };
  if (found.wrong) return wrong(*found.wrong);
  const bool named =
      std::ranges::any_of(found.refusals,
                          [&](const base::Error& e) { return Names(e.ToString(), flip); }) ||
      std::ranges::any_of(found.warnings,
                          [&](const std::string& line) { return Names(line, flip); });
  if (!found.refusals.empty() && !named)
    return wrong("refused without its name: " + found.refusals.front().ToString());
  if (const auto changed = WhatElseChanged(before, set_aside, copy->disk(), flip, found.started))
    return wrong(*changed);
  if (named) return verdict;
  const auto file = copy->disk().Find(flip.path);
  // CLOCK is rewritten whole, and may by chance get the same byte there again.
  const bool rewritten = flip.path.ends_with("/CLOCK") && file != nullptr &&
                         !std::ranges::equal(file->bytes(), damaged);
  const bool mended = rewritten || file == nullptr || file->size() <= flip.offset ||
                      file->bytes()[flip.offset] != damaged[flip.offset];
  verdict.is = mended ? FlipVerdict::Is::kRepaired : FlipVerdict::Is::kHarmless;
  if (!mended && !ReadsTheSame(flip, intact, damaged)) return wrong("nobody noticed");
  return verdict;
}

}  // namespace headrace::simulation

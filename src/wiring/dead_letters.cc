#include "wiring/dead_letters.h"

#include <algorithm>

#include <fmt/format.h>

#include "columns/batch_codec.h"
#include "columns/value.h"
#include "ingest/outcome_json.h"

namespace headrace::wiring {
namespace {

// Read in one scan: so many, or more and more while there are no letters.
constexpr uint64_t kEpochsPerScan = 64;
constexpr uint64_t kEpochsPerScanMax = 8'192;
constexpr size_t kBytesMax = 8U << 20;  // of an answer; it may pass it by one letter
constexpr const char* kMask = "***";    // contract::Contract::MaskPayload

// As those may see it who may not see restricted values.
std::string Masked(const DeadLetters::Stream& stream, const std::string& payload) {
  return stream.contract == nullptr ? kMask : stream.contract->MaskPayload(payload);
}

void AppendLetter(std::string& out, const DeadLetters::Letter& letter,
                  const DeadLetters::Stream& stream, Payloads payloads) {
  const columns::RejectedRow& row = letter.row;
  if (out.size() > 1) out += ",\n ";
  fmt::format_to(std::back_inserter(out), "{{\"epoch\":{},\"stream\":", letter.id.epoch.value);
  columns::AppendJsonString(out, stream.name);
  out += ',';
  ingest::AppendRefusal(out, row.row, row.field, row.rule, row.reason);
  out += ",\"payload\":";
  const std::string shown =
      payloads == Payloads::kAsTheyCame ? row.payload : Masked(stream, row.payload);
  columns::AppendJsonString(out, shown);
  // A mask writes JSON anew: other blanks alone hide nothing.
  if (shown != row.payload && shown.find(kMask) != std::string::npos) out += ",\"masked\":true";
  if (letter.is_replayed) out += ",\"replayed\":true";
  out += '}';
}

}  // namespace

// Ascending epochs. Ranges with few epochs between them grow together when there are too many.
void DeadLetters::Add(base::EpochId epoch, uint64_t& gap_max, std::vector<Range>& ranges) {
  const auto append = [&gap_max](std::vector<Range>& to, const Range& range) {
    if (!to.empty() && range.first.value - to.back().last.value <= gap_max) {
      to.back().last = range.last;
    } else {
      to.push_back(range);
    }
  };
  append(ranges, {epoch, epoch});
  while (ranges.size() > kRangesMax) {
    gap_max *= 2;
    std::vector<Range> fewer;
    for (const Range& range : ranges) append(fewer, range);
    ranges = std::move(fewer);
  }
}

base::Result<void> DeadLetters::Note(const log::Epoch& epoch) {
  const std::lock_guard lock(mutex_);
  if (epoch.id <= noted_.through) return {};
  noted_.through = epoch.id;
  if (!epoch.rejects.empty()) Add(epoch.id, gap_max_, noted_.ranges);
  for (const log::StreamRejects& rejects : epoch.rejects)
    for (const columns::RejectedRow& row : rejects.rows)
      ++noted_.counts[rejects.stream.value][row.rule];
  for (const log::ControlEntry& entry : epoch.controls) {
    if (entry.kind != log::ControlEntry::Kind::kReplay) continue;
    HR_TRY(const log::ReplayedLetters replayed, log::DecodeReplay(entry));
    for (const log::LetterRange& range : replayed.ranges) AddReplayed(range);
    noted_.replayed_rows[entry.name] += replayed.letters;
  }
  return {};
}

// Neighbours of one epoch become one range, as do those that overlap.
void DeadLetters::AddReplayed(log::LetterRange range) {
  auto& replayed = noted_.replayed;
  const auto touches = [](const columns::DeadLetterId& last, const columns::DeadLetterId& first) {
    return first <= last || (first.epoch == last.epoch && first.number == last.number + 1);
  };
  auto next = replayed.upper_bound(range.first);
  if (next != replayed.begin()) {
    const auto before = std::prev(next);
    if (touches(before->second, range.first)) {
      range = {before->first, std::max(before->second, range.last)};
      replayed.erase(before);
    }
  }
  while (next != replayed.end() && touches(range.last, next->first)) {
    range.last = std::max(range.last, next->second);
    next = replayed.erase(next);
  }
  replayed[range.first] = range.last;
}

bool DeadLetters::IsReplayed(const columns::DeadLetterId& id) const {
  const std::lock_guard lock(mutex_);
  const auto next = noted_.replayed.upper_bound(id);
  return next != noted_.replayed.begin() && id <= std::prev(next)->second;
}

void DeadLetters::ForgetBefore(base::EpochId from) {
  const std::lock_guard lock(mutex_);
  std::vector<Range>& ranges = noted_.ranges;
  const auto kept = std::ranges::lower_bound(ranges, from, {}, &Range::last);
  ranges.erase(ranges.begin(), kept);
  if (!ranges.empty()) ranges.front().first = std::max(ranges.front().first, from);
  while (!noted_.replayed.empty() && noted_.replayed.begin()->second.epoch < from)
    noted_.replayed.erase(noted_.replayed.begin());
}

size_t DeadLetters::ranges() const {
  const std::lock_guard lock(mutex_);
  return noted_.ranges.size();
}

size_t DeadLetters::replayed_ranges() const {
  const std::lock_guard lock(mutex_);
  return noted_.replayed.size();
}

std::map<std::string, uint64_t> DeadLetters::replayed() const {
  const std::lock_guard lock(mutex_);
  return noted_.replayed_rows;
}

base::EpochId DeadLetters::Encode(std::vector<uint8_t>& bytes) const {
  Noted noted;
  {
    const std::lock_guard lock(mutex_);
    noted = noted_;
  }
  columns::ByteWriter out(bytes);
  out.U64(noted.through.value);
  out.U32(kRanges);
  out.U32(static_cast<uint32_t>(noted.ranges.size()));
  for (const Range& range : noted.ranges) {
    out.U64(range.first.value);
    out.U64(range.last.value);
  }
  uint32_t rules = 0;
  for (const auto& [stream, counts] : noted.counts) rules += static_cast<uint32_t>(counts.size());
  out.U32(rules);
  for (const auto& [stream, counts] : noted.counts)
    for (const auto& [rule, rows] : counts) {
      out.U32(stream);
      out.Text(rule);
      out.U64(rows);
    }
  std::vector<log::LetterRange> replayed;
  for (const auto& [first, last] : noted.replayed) replayed.push_back({first, last});
  log::EncodeRanges(replayed, out);
  out.U32(static_cast<uint32_t>(noted.replayed_rows.size()));
  for (const auto& [stream, rows] : noted.replayed_rows) {
    out.Text(stream);
    out.U64(rows);
  }
  return noted.through;
}

base::Result<void> DeadLetters::Decode(std::span<const uint8_t> bytes) {
  columns::ByteReader in(bytes);
  const std::lock_guard lock(mutex_);
  HR_TRY(noted_.through.value, in.U64());
  HR_TRY(uint32_t count, in.U32());
  const bool epochs = count != kRanges;
  if (!epochs) {
    HR_TRY(count, in.U32());
  }
  base::EpochId before;
  for (uint32_t i = 0; i < count; ++i) {
    Range range;
    HR_TRY(range.first.value, in.U64());
    range.last = range.first;
    if (!epochs) {
      HR_TRY(range.last.value, in.U64());
    }
    if (range.first <= before || range.last < range.first)
      return base::Fail(base::ErrorCode::kCorruption, "dead letters out of their order");
    before = range.last;
    if (epochs) {
      Add(range.first, gap_max_, noted_.ranges);
    } else {
      noted_.ranges.push_back(range);
    }
  }
  HR_TRY(const uint32_t rules, in.U32());
  for (uint32_t i = 0; i < rules; ++i) {
    HR_TRY(const uint32_t stream, in.U32());
    HR_TRY(const std::string_view rule, in.Text());
    HR_TRY(noted_.counts[stream][std::string(rule)], in.U64());
  }
  return in.remaining() == 0 ? base::Result<void>() : DecodeReplayed(in);
}

base::Result<void> DeadLetters::DecodeReplayed(columns::ByteReader& in) {
  HR_TRY(const std::vector<log::LetterRange> ranges, log::DecodeRanges(in));
  for (const log::LetterRange& range : ranges) AddReplayed(range);
  HR_TRY(const uint32_t streams, in.U32());
  for (uint32_t i = 0; i < streams; ++i) {
    HR_TRY(const std::string_view stream, in.Text());
    HR_TRY(noted_.replayed_rows[std::string(stream)], in.U64());
  }
  return {};
}

std::map<uint32_t, DeadLetters::RuleCounts> DeadLetters::counts() const {
  const std::lock_guard lock(mutex_);
  return noted_.counts;
}

base::Result<void> DeadLetters::Visit(log::LogReader& reader, LetterPosition after,
                                      const std::function<bool(const Letter&)>& visit) const {
  constexpr LetterPosition kBehindAll{{UINT64_MAX}};
  if (after == kBehindAll) return {};
  const base::EpochId from =
      after.letters == LetterPosition::kWhole ? after.epoch.Next() : after.epoch;
  std::vector<Range> ranges;
  {
    const std::lock_guard lock(mutex_);
    ranges.assign(std::ranges::lower_bound(noted_.ranges, from, {}, &Range::last),
                  noted_.ranges.end());
  }
  if (!ranges.empty()) ranges.front().first = std::max(ranges.front().first, from);
  uint64_t visited = 0;
  bool goes_on = true;
  const auto visit_epoch = [&](const log::EpochRef& epoch) -> base::Result<void> {
    uint32_t number = 0;  // of this epoch
    for (const log::StreamRejects& rejects : epoch->rejects) {
      for (const columns::RejectedRow& row : rejects.rows) {
        const columns::DeadLetterId id{epoch->id, number++};
        if (!goes_on || (epoch->id == after.epoch && number <= after.letters)) continue;
        goes_on = visit(Letter{.id = id,
                               .ordinal = ++visited,
                               .stream = rejects.stream,
                               .row = row,
                               .is_replayed = IsReplayed(id),
                               .behind = {epoch->id, number}});
      }
    }
    return {};
  };
  uint64_t epochs = kEpochsPerScan;
  for (size_t i = 0; i < ranges.size() && goes_on;) {
    Range& range = ranges[i];
    const base::EpochId end = std::min(range.last, {range.first.value + epochs - 1});
    const uint64_t before = visited;
    HR_TRY_VOID(reader.ScanRefused(range.first, end, visit_epoch));
    epochs = visited > before ? kEpochsPerScan : std::min(2 * epochs, kEpochsPerScanMax);
    range.first = end.Next();
    if (end == range.last) ++i;
  }
  return {};
}

base::Result<DeadLetterPage> DeadLetters::Page(
    log::LogReader& reader, const std::function<Stream(base::StreamId)>& describe,
    const DeadLetterQuery& query) const {
  DeadLetterPage page{.json = "[", .next = std::nullopt};
  LetterPosition last = query.after;  // of the page
  uint64_t count = 0;
  std::map<base::StreamId, Stream> streams;
  HR_TRY_VOID(Visit(reader, query.after, [&](const Letter& letter) {
    const auto [of, is_new] = streams.try_emplace(letter.stream);
    if (is_new) of->second = describe(letter.stream);
    if (!query.stream.empty() && of->second.name != query.stream) return true;
    if (query.which == DeadLetterQuery::Which::kOpen && letter.is_replayed) return true;
    if (count >= query.limit || page.json.size() >= kBytesMax) {
      page.next = last;  // one is left
      return false;
    }
    ++count;
    AppendLetter(page.json, letter, of->second, query.payloads);
    last = letter.behind;
    return true;
  }));
  page.json += ']';
  return page;
}

}  // namespace headrace::wiring

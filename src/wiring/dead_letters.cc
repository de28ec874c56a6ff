#include "wiring/dead_letters.h"

#include <algorithm>

#include <fmt/format.h>

#include "columns/batch_codec.h"
#include "columns/value.h"

namespace headrace::wiring {
namespace {

// Neighbouring epochs are read in one scan, as finding an epoch costs about as much as reading a
// few.
constexpr uint64_t kGapMax = 16;
constexpr size_t kEpochsPerScan = 64;
constexpr size_t kBytesMax = 8U << 20;  // of an answer; it may pass it by one letter
constexpr const char* kMask = "***";    // contract::Contract::MaskPayload

// As those may see it who may not see restricted values.
std::string Masked(const DeadLetters::Stream& stream, const std::string& payload) {
  return stream.contract == nullptr ? kMask : stream.contract->MaskPayload(payload);
}

void AppendLetter(std::string& out, base::EpochId epoch, const DeadLetters::Stream& stream,
                  const columns::RejectedRow& row, Payloads payloads) {
  if (out.size() > 1) out += ",\n ";
  fmt::format_to(std::back_inserter(out), "{{\"epoch\":{},\"stream\":", epoch.value);
  columns::AppendJsonString(out, stream.name);
  fmt::format_to(std::back_inserter(out), ",\"row\":{},\"field\":", row.row);
  columns::AppendJsonString(out, row.field);
  out += ",\"rule\":";
  columns::AppendJsonString(out, row.rule);
  out += ",\"reason\":";
  columns::AppendJsonString(out, row.reason);
  out += ",\"payload\":";
  const std::string shown =
      payloads == Payloads::kAsTheyCame ? row.payload : Masked(stream, row.payload);
  columns::AppendJsonString(out, shown);
  // A mask writes JSON anew: other blanks alone hide nothing.
  if (shown != row.payload && shown.find(kMask) != std::string::npos) out += ",\"masked\":true";
  out += '}';
}

}  // namespace

void DeadLetters::Note(const log::Epoch& epoch) {
  const std::lock_guard lock(mutex_);
  if (epoch.id <= noted_) return;
  noted_ = epoch.id;
  if (epoch.rejects.empty()) return;
  epochs_.push_back(epoch.id);
  for (const log::StreamRejects& rejects : epoch.rejects)
    for (const columns::RejectedRow& row : rejects.rows) ++counts_[rejects.stream.value][row.rule];
}

base::EpochId DeadLetters::Encode(std::vector<uint8_t>& bytes) const {
  const std::lock_guard lock(mutex_);
  columns::ByteWriter out(bytes);
  out.U64(noted_.value);
  out.U32(static_cast<uint32_t>(epochs_.size()));
  for (const base::EpochId epoch : epochs_) out.U64(epoch.value);
  uint32_t rules = 0;
  for (const auto& [stream, counts] : counts_) rules += static_cast<uint32_t>(counts.size());
  out.U32(rules);
  for (const auto& [stream, counts] : counts_)
    for (const auto& [rule, rows] : counts) {
      out.U32(stream);
      out.Text(rule);
      out.U64(rows);
    }
  return noted_;
}

base::Result<void> DeadLetters::Decode(std::span<const uint8_t> bytes) {
  columns::ByteReader in(bytes);
  const std::lock_guard lock(mutex_);
  HR_TRY(noted_.value, in.U64());
  HR_TRY(const uint32_t epochs, in.U32());
  for (uint32_t i = 0; i < epochs; ++i) {
    HR_TRY(const uint64_t epoch, in.U64());
    epochs_.push_back({epoch});
  }
  HR_TRY(const uint32_t rules, in.U32());
  for (uint32_t i = 0; i < rules; ++i) {
    HR_TRY(const uint32_t stream, in.U32());
    HR_TRY(const std::string_view rule, in.Text());
    HR_TRY(counts_[stream][std::string(rule)], in.U64());
  }
  return {};
}

std::map<uint32_t, DeadLetters::RuleCounts> DeadLetters::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

base::Result<DeadLetterPage> DeadLetters::Page(
    log::LogReader& reader, const std::function<Stream(base::StreamId)>& describe,
    const DeadLetterQuery& query) const {
  const LetterPosition after = query.after;
  std::vector<base::EpochId> epochs;
  {
    const std::lock_guard lock(mutex_);
    const auto begin = after.letters == LetterPosition::kWhole
                           ? std::ranges::upper_bound(epochs_, after.epoch)
                           : std::ranges::lower_bound(epochs_, after.epoch);
    epochs.assign(begin, epochs_.end());
  }
  DeadLetterPage page{.json = "[", .next = std::nullopt};
  LetterPosition last = after;  // of the page
  uint64_t count = 0;
  const auto visit = [&](const log::EpochRef& epoch) -> base::Result<void> {
    uint64_t passed = 0;  // of this epoch
    for (const log::StreamRejects& rejects : epoch->rejects) {
      const Stream of = describe(rejects.stream);
      const bool asked = query.stream.empty() || of.name == query.stream;
      for (const columns::RejectedRow& row : rejects.rows) {
        ++passed;
        if (page.next || !asked || (epoch->id == after.epoch && passed <= after.letters)) continue;
        if (count >= query.limit || page.json.size() >= kBytesMax) {
          page.next = last;  // one is left
          continue;
        }
        ++count;
        AppendLetter(page.json, epoch->id, of, row, query.payloads);
        last = {epoch->id, passed};
      }
    }
    return {};
  };
  for (size_t begin = 0; begin < epochs.size() && !page.next;) {
    size_t end = begin + 1;
    while (end < epochs.size() && end - begin < kEpochsPerScan &&
           epochs[end].value - epochs[end - 1].value < kGapMax)
      ++end;
    HR_TRY_VOID(reader.ScanRefused(epochs[begin], epochs[end - 1], visit));
    begin = end;
  }
  page.json += ']';
  return page;
}

}  // namespace headrace::wiring

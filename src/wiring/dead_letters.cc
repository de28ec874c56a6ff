#include "wiring/dead_letters.h"

#include <algorithm>

#include <fmt/format.h>

#include "columns/value.h"

namespace headrace::wiring {
namespace {

// Neighbouring epochs are read in one scan, as finding an epoch costs about as much as reading a
// few.
constexpr uint64_t kGapMax = 16;
constexpr size_t kEpochsPerScan = 64;

void AppendLetter(std::string& out, base::EpochId epoch, const DeadLetters::Stream& stream,
                  const columns::RejectedRow& row) {
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
  columns::AppendJsonString(
      out, stream.contract == nullptr ? row.payload : stream.contract->MaskPayload(row.payload));
  out += '}';
}

}  // namespace

void DeadLetters::Note(const log::Epoch& epoch) {
  if (epoch.rejects.empty()) return;
  const std::lock_guard lock(mutex_);
  epochs_.push_back(epoch.id);
  for (const log::StreamRejects& rejects : epoch.rejects)
    for (const columns::RejectedRow& row : rejects.rows) ++counts_[rejects.stream.value][row.rule];
}

std::map<uint32_t, DeadLetters::RuleCounts> DeadLetters::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

base::Result<std::string> DeadLetters::ToJson(log::LogReader& reader,
                                              const std::function<Stream(base::StreamId)>& describe,
                                              const std::string& stream, base::EpochId after,
                                              uint64_t limit) const {
  std::vector<base::EpochId> epochs;
  {
    const std::lock_guard lock(mutex_);
    epochs.assign(std::ranges::upper_bound(epochs_, after), epochs_.end());
  }
  std::string out = "[";
  uint64_t count = 0;
  const auto visit = [&](const log::EpochRef& epoch) -> base::Result<void> {
    for (const log::StreamRejects& rejects : epoch->rejects) {
      const Stream of = describe(rejects.stream);
      if (!stream.empty() && of.name != stream) continue;
      for (const columns::RejectedRow& row : rejects.rows)
        if (count++ < limit) AppendLetter(out, epoch->id, of, row);
    }
    return {};
  };
  for (size_t begin = 0; begin < epochs.size() && count < limit;) {
    size_t end = begin + 1;
    while (end < epochs.size() && end - begin < kEpochsPerScan &&
           epochs[end].value - epochs[end - 1].value < kGapMax)
      ++end;
    HR_TRY_VOID(reader.Scan(epochs[begin], epochs[end - 1], visit));
    begin = end;
  }
  return out + "]";
}

}  // namespace headrace::wiring

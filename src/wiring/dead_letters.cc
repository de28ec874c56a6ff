#include "wiring/dead_letters.h"

#include <algorithm>

#include <fmt/format.h>

#include "columns/value.h"

namespace headrace::wiring {
namespace {

void AppendLetter(std::string& out, base::EpochId epoch, const std::string& stream,
                  const columns::RejectedRow& row) {
  if (out.size() > 1) out += ",\n ";
  fmt::format_to(std::back_inserter(out), "{{\"epoch\":{},\"stream\":", epoch.value);
  columns::AppendJsonString(out, stream);
  fmt::format_to(std::back_inserter(out), ",\"row\":{},\"field\":", row.row);
  columns::AppendJsonString(out, row.field);
  out += ",\"rule\":";
  columns::AppendJsonString(out, row.rule);
  out += ",\"reason\":";
  columns::AppendJsonString(out, row.reason);
  out += ",\"payload\":";
  columns::AppendJsonString(out, row.payload);
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

base::Result<std::string> DeadLetters::ToJson(
    log::LogReader& reader, const std::function<std::string(base::StreamId)>& name_of,
    const std::string& stream, base::EpochId after, uint64_t limit) const {
  std::vector<base::EpochId> epochs;
  {
    const std::lock_guard lock(mutex_);
    epochs.assign(std::ranges::upper_bound(epochs_, after), epochs_.end());
  }
  std::string out = "[";
  uint64_t count = 0;
  for (const base::EpochId id : epochs) {
    if (count >= limit) break;
    HR_TRY_VOID(reader.Scan(id, id, [&](const log::EpochRef& epoch) -> base::Result<void> {
      for (const log::StreamRejects& rejects : epoch->rejects) {
        const std::string name = name_of(rejects.stream);
        if (!stream.empty() && name != stream) continue;
        for (const columns::RejectedRow& row : rejects.rows)
          if (count++ < limit) AppendLetter(out, id, name, row);
      }
      return {};
    }));
  }
  return out + "]";
}

}  // namespace headrace::wiring

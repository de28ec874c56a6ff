#include "tables/maintenance/replaced_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace headrace::tables {
namespace {

// "12" from the left of `text`.
std::optional<uint64_t> TakeNumber(std::string_view& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

bool TakeSign(std::string_view& text, char sign) {
  if (!text.starts_with(sign)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

void ReplacedFiles::Put(Ranges& ranges, uint64_t begin, uint64_t end) {
  auto at = ranges.upper_bound(begin);
  if (at != ranges.begin() && std::prev(at)->second >= begin) --at;
  while (at != ranges.end() && at->first <= end) {
    begin = std::min(begin, at->first);
    end = std::max(end, at->second);
    at = ranges.erase(at);
  }
  ranges.emplace(begin, end);
}

bool ReplacedFiles::Has(const Ranges& ranges, uint64_t begin, uint64_t end) {
  const auto after = ranges.upper_bound(begin);
  return after != ranges.begin() && std::prev(after)->second >= end;
}

void ReplacedFiles::Add(const PlannedFile& file) {
  Put(planned_[file.number], file.plan.after.value, file.plan.last.value);
}

void ReplacedFiles::Add(const RewrittenFile& file) {
  Put(rewritten_[file.epoch.value], file.number, file.number + 1);
}

void ReplacedFiles::Merge(const ReplacedFiles& other) {
  for (const auto& [number, ranges] : other.planned_)
    for (const auto& [begin, end] : ranges) Put(planned_[number], begin, end);
  for (const auto& [epoch, ranges] : other.rewritten_)
    for (const auto& [begin, end] : ranges) Put(rewritten_[epoch], begin, end);
}

bool ReplacedFiles::Contains(const PlannedFile& file) const {
  const auto found = planned_.find(file.number);
  return found != planned_.end() && Has(found->second, file.plan.after.value, file.plan.last.value);
}

bool ReplacedFiles::Contains(const RewrittenFile& file) const {
  const auto found = rewritten_.find(file.epoch.value);
  return found != rewritten_.end() && Has(found->second, file.number, file.number + 1);
}

bool ReplacedFiles::IsWholeFrom(base::EpochId after) const {
  const auto first = planned_.find(0);
  if (first == planned_.end()) return true;
  return first->second.size() == 1 && first->second.begin()->first == after.value;
}

std::string ReplacedFiles::ToText() const {
  std::string text;
  const auto add = [&text](const std::string& item) { text += (text.empty() ? "" : " ") + item; };
  for (const auto& [number, ranges] : planned_)
    for (const auto& [begin, end] : ranges)
      add(number == 0 ? fmt::format("{}-{}", begin, end)
                      : fmt::format("{}-{}.{}", begin, end, number));
  for (const auto& [epoch, ranges] : rewritten_)
    for (const auto& [begin, end] : ranges) add(fmt::format("r{}.{}-{}", epoch, begin, end - 1));
  return text;
}

base::Result<ReplacedFiles> ReplacedFiles::Parse(std::string_view text) {
  ReplacedFiles files;
  while (!text.empty()) {
    const bool rewritten = TakeSign(text, 'r');
    std::optional<uint64_t> number = 0;
    if (rewritten) {
      number = TakeNumber(text);
      if (!TakeSign(text, '.')) number.reset();
    }
    const auto begin = TakeNumber(text);
    const bool dash = TakeSign(text, '-');
    const auto end = TakeNumber(text);
    if (!rewritten && TakeSign(text, '.')) number = TakeNumber(text);
    const bool good = number && begin && dash && end && *begin <= *end &&
                      (rewritten || *begin < *end) && *end < UINT64_MAX &&
                      (text.empty() || TakeSign(text, ' '));
    if (!good)
      return base::Fail(base::ErrorCode::kCorruption,
                        "a tag that does not tell which files a rewritten one stands for");
    if (rewritten) {
      Put(files.rewritten_[*number], *begin, *end + 1);
    } else {
      Put(files.planned_[*number], *begin, *end);
    }
  }
  return files;
}

}  // namespace headrace::tables

#include "contract/no_such_name.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>

#include "base/next_step.h"
#include "contract/diagnostic_report.h"

namespace headrace::contract {
namespace {

constexpr size_t kListedMax = 20;

}  // namespace

std::string Listed(const std::vector<std::string>& names) {
  if (names.empty()) return "none";
  const std::span<const std::string> shown(names.data(), std::min(names.size(), kListedMax));
  std::string text = fmt::format("{}", fmt::join(shown, ", "));
  if (names.size() > shown.size()) text += fmt::format(" and {} more", names.size() - shown.size());
  return text;
}

base::Error NoSuchName(std::string_view kind, std::string_view name,
                       const std::vector<std::string>& names, std::string_view place) {
  const std::string message = place.empty() ? fmt::format("no {} `{}`", kind, name)
                                            : fmt::format("no {} `{}` in {}", kind, name, place);
  const std::string otherwise = names.empty() ? fmt::format("there are no {}s yet", kind)
                                              : fmt::format("name one of the {}s above", kind);
  return base::Error(base::ErrorCode::kNotFound, message)
      .With(fmt::format("{}s", kind), Listed(names))
      .With(base::kNextStep, DidYouMean(name, names, otherwise));
}

}  // namespace headrace::contract

#include "watch/metrics_text.h"

#include <fmt/format.h>

namespace headrace::watch {
namespace {

constexpr double kMicro = 1e-6;

void AppendEscaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
}

}  // namespace

void MetricsText::Head(std::string_view name, std::string_view help, std::string_view type) {
  if (name == last_name_) return;
  last_name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void MetricsText::Sample(std::string_view name, std::string_view suffix, MetricLabels labels,
                         std::string_view quantile, std::string_view value) {
  text_ += name;
  text_ += suffix;
  std::string inside;
  const auto add = [&](std::string_view label, std::string_view text) {
    inside += inside.empty() ? "" : ",";
    inside += label;
    inside += "=\"";
    AppendEscaped(inside, text);
    inside += '"';
  };
  for (const auto& [label, text] : labels) add(label, text);
  if (!quantile.empty()) add("quantile", quantile);
  if (!inside.empty()) text_.append("{").append(inside).append("}");
  text_ += ' ';
  text_ += value;
  text_ += '\n';
}

void MetricsText::Counter(std::string_view name, std::string_view help, uint64_t value,
                          MetricLabels labels) {
  Head(name, help, "counter");
  Sample(name, "", labels, "", std::to_string(value));
}

void MetricsText::Gauge(std::string_view name, std::string_view help, double value,
                        MetricLabels labels) {
  Head(name, help, "gauge");
  Sample(name, "", labels, "", fmt::format("{}", value));
}

void MetricsText::Summary(std::string_view name, std::string_view help, const base::Histogram& us,
                          MetricLabels labels) {
  Head(name, help, "summary");
  constexpr std::pair<std::string_view, double> kQuantiles[] = {
      {"0.5", 0.5}, {"0.99", 0.99}, {"0.999", 0.999}};
  for (const auto& [quantile, q] : kQuantiles)
    Sample(name, "", labels, quantile,
           fmt::format("{}", static_cast<double>(us.Quantile(q)) * kMicro));
  const auto count = us.count();
  Sample(name, "_sum", labels, "",
         fmt::format("{}", us.mean() * static_cast<double>(count) * kMicro));
  Sample(name, "_count", labels, "", std::to_string(count));
}

}  // namespace headrace::watch

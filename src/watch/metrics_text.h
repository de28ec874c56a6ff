#pragma once
// Metrics in Prometheus' text format. Names are headrace_<room>_<what>_<unit>[_total]; never an
// entity key in a label.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/histogram.h"

namespace headrace::watch {

using MetricLabels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// Gathers one scrape. Not thread-safe. Samples of one name must follow each other; HELP and TYPE
// are written before the first.
class MetricsText {
 public:
  void Counter(std::string_view name, std::string_view help, uint64_t value,
               MetricLabels labels = {});
  void Gauge(std::string_view name, std::string_view help, double value, MetricLabels labels = {});
  // A summary in seconds (0.5, 0.99, 0.999, count and sum) of a histogram in microseconds.
  void Summary(std::string_view name, std::string_view help, const base::Histogram& us,
               MetricLabels labels = {});
  std::string Take() { return std::move(text_); }

 private:
  void Head(std::string_view name, std::string_view help, std::string_view type);
  void Sample(std::string_view name, std::string_view suffix, MetricLabels labels,
              std::string_view quantile, std::string_view value);

  std::string text_;
  std::string last_name_;
};

}  // namespace headrace::watch

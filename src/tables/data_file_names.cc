#include "tables/data_file_names.h"

#include <fmt/format.h>

#include <charconv>

namespace headrace::tables {
namespace {

// Takes a name apart from the left.
class NameParts {
 public:
  explicit NameParts(std::string_view name) : rest_(name) {}
  bool Take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  template <typename T>
  bool Number(T& value) {
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc()) return false;
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return true;
  }
  bool Ends() const { return rest_ == ".parquet"; }

 private:
  std::string_view rest_;
};

}  // namespace

std::string FileName(const base::LogId& log, const PublishPlan& plan, size_t number) {
  return fmt::format("{}-s{}-{:013}-{:013}-{}.parquet", log.ToString(), plan.stream.value,
                     plan.after.value, plan.last.value, number);
}

std::optional<PlannedFile> ParseFileName(const base::LogId& log, std::string_view name) {
  NameParts parts(name);
  PlannedFile file;
  const bool whole = parts.Take(log.ToString()) && parts.Take("-s") &&
                     parts.Number(file.plan.stream.value) && parts.Take("-") &&
                     parts.Number(file.plan.after.value) && parts.Take("-") &&
                     parts.Number(file.plan.last.value) && parts.Take("-") &&
                     parts.Number(file.number) && parts.Ends();
  return whole ? std::optional(file) : std::nullopt;
}

std::string FileName(const base::LogId& log, const RewrittenFile& file) {
  return fmt::format("{}-s{}-r{:013}-{}.parquet", log.ToString(), file.stream.value,
                     file.epoch.value, file.number);
}

std::optional<RewrittenFile> ParseRewrittenName(const base::LogId& log, std::string_view name) {
  NameParts parts(name);
  RewrittenFile file;
  const bool whole = parts.Take(log.ToString()) && parts.Take("-s") &&
                     parts.Number(file.stream.value) && parts.Take("-r") &&
                     parts.Number(file.epoch.value) && parts.Take("-") &&
                     parts.Number(file.number) && parts.Ends();
  return whole ? std::optional(file) : std::nullopt;
}

bool IsFileOf(const base::LogId& log, base::StreamId stream, std::string_view name) {
  if (const auto planned = ParseFileName(log, name)) return planned->plan.stream == stream;
  const auto rewritten = ParseRewrittenName(log, name);
  return rewritten && rewritten->stream == stream;
}

std::string ApplicationId(const base::LogId& log, const std::string& stream) {
  return fmt::format("headrace/{}/{}", log.ToString(), stream);
}

std::string RewritingId(const base::LogId& log, const std::string& stream) {
  return fmt::format("headrace-rewrite/{}/{}", log.ToString(), stream);
}

}  // namespace headrace::tables

#include "wiring/pipeline_folder.h"

#include <map>

#include <fmt/format.h>

#include "base/log.h"
#include "pipeline/pipeline_file.h"

namespace headrace::wiring {

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string(".") : path.substr(0, slash);
}

namespace {

base::Result<std::string> ReadText(env::Files& files, const std::string& path) {
  HR_TRY(const std::vector<uint8_t> bytes, files.ReadAll(path));
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace

base::Result<pipeline::PipelineRef> ReadPipeline(env::Files& files, const std::string& path) {
  HR_TRY(const std::string text, ReadText(files, path));
  std::map<std::string, std::string> texts = {{path, text}};  // for the source lines of diagnostics
  const auto source = [&](const std::string& name) -> base::Result<std::string> {
    HR_TRY(std::string content,
           ReadText(files, name.starts_with('/') ? name : FolderOf(path) + "/" + name));
    return texts[name] = std::move(content);
  };
  const pipeline::CheckedPipeline checked = pipeline::CheckPipeline(path, text, source);
  std::string errors;
  size_t count = 0;
  for (const contract::Diagnostic& diagnostic : checked.diagnostics) {
    if (diagnostic.severity == contract::Severity::kWarning) {
      base::LogWarning("wiring.pipeline",
                       {{"file", diagnostic.file}, {"message", diagnostic.message}});
      continue;
    }
    errors += "\n" + contract::Render(diagnostic, texts[diagnostic.file]);
    ++count;
  }
  if (checked.definition) return checked.definition;
  return base::Fail(base::ErrorCode::kInvalidInput, fmt::format("{} has {} error{}:{}", path, count,
                                                                count == 1 ? "" : "s", errors));
}

}  // namespace headrace::wiring

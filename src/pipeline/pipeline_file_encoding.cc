#include "pipeline/pipeline_file_encoding.h"

#include <fmt/format.h>

#include "columns/batch_codec.h"
#include "pipeline/pipeline_file.h"

namespace headrace::pipeline {

namespace {
constexpr uint32_t kEncodingVersion = 1;
}

std::string PackSource(std::string_view pipeline,
                       const std::map<std::string, std::string>& contracts) {
  std::vector<uint8_t> bytes;
  columns::ByteWriter out(bytes);
  out.U32(kEncodingVersion);
  out.Text(pipeline);
  out.U32(static_cast<uint32_t>(contracts.size()));
  for (const auto& [name, text] : contracts) {
    out.Text(name);
    out.Text(text);
  }
  return {bytes.begin(), bytes.end()};
}

base::Result<SourceTexts> UnpackSource(std::string_view bytes) {
  columns::ByteReader in({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  HR_TRY(const uint32_t version, in.U32());
  if (version != kEncodingVersion)
    return base::Fail(base::ErrorCode::kCorruption,
                      fmt::format("a definition of encoding {}; this version reads 1", version));
  SourceTexts texts;
  HR_TRY(texts.pipeline, in.Text());
  HR_TRY(const uint32_t count, in.U32());
  for (uint32_t i = 0; i < count; ++i) {
    HR_TRY(const std::string_view name, in.Text());
    HR_TRY(const std::string_view text, in.Text());
    texts.contracts.emplace(name, text);
  }
  if (in.remaining() != 0)
    return base::Fail(base::ErrorCode::kCorruption, "a definition with bytes after its end");
  return texts;
}

std::vector<uint8_t> EncodeDefinition(const PipelineDefinition& definition) {
  return {definition.source.begin(), definition.source.end()};
}

base::Result<PipelineRef> DecodeDefinition(std::span<const uint8_t> bytes) {
  HR_TRY(const SourceTexts texts,
         UnpackSource({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  const FileSource files = [&](const std::string& name) -> base::Result<std::string> {
    const auto found = texts.contracts.find(name);
    if (found == texts.contracts.end())
      return base::Fail(base::ErrorCode::kNotFound, "not in the log's definition");
    return found->second;
  };
  CheckedPipeline checked = CheckPipeline("the log's definition", texts.pipeline, files);
  if (checked.definition != nullptr) return checked.definition;
  base::Error error(base::ErrorCode::kInvalidInput,
                    "this version refuses the definition in the log");
  for (const contract::Diagnostic& diagnostic : checked.diagnostics)
    if (diagnostic.severity == contract::Severity::kError)
      return base::Fail(
          std::move(error).With("code", diagnostic.code).With("reason", diagnostic.message));
  return base::Fail(std::move(error));
}

}  // namespace headrace::pipeline

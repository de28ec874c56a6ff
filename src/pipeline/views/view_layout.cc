#include "pipeline/views/view_layout.h"

#include <charconv>

#include <fmt/format.h>

#include "columns/batch_codec.h"
#include "pipeline/streams/derived_streams.h"
#include "pipeline/views/window_outputs.h"

namespace headrace::pipeline {
namespace {

// Goes up when the meaning of captured bytes changes: older captures are then not used.
constexpr uint32_t kSemantics = 2;

std::string NameAndType(const columns::Schema& schema, size_t field) {
  return fmt::format("{} {}", schema.field(field).name, columns::NameOf(schema.field(field).type));
}

std::string KeyText(const ViewDefinition& view, const columns::Schema& schema) {
  std::string text;
  for (const size_t field : view.by) text += NameAndType(schema, field) + ",";
  return text;
}

// Behind the kept text of a view that forgets keys, in µs.
constexpr std::string_view kKeysTtl = "ttl of keys ";

std::string IndexText(const std::optional<size_t>& index) {
  return index ? std::to_string(*index) : "-";
}

base::Result<ViewLayout::View> ParseView(std::string_view text) {
  ViewLayout::View view{.name = {}, .kept = std::string(text)};
  if (!text.ends_with('\n')) return view;
  const size_t line = text.rfind('\n', text.size() - 2) + 1;
  std::string_view last = text.substr(line);
  if (!last.starts_with(kKeysTtl)) return view;
  last.remove_prefix(kKeysTtl.size());
  last.remove_suffix(1);
  int64_t ttl = 0;
  const auto parsed = std::from_chars(last.begin(), last.end(), ttl);
  if (parsed.ec != std::errc() || parsed.ptr != last.end())
    return base::Fail(base::ErrorCode::kCorruption, "the ttl of captured keys can't be read");
  view.kept.resize(line);
  view.keys_ttl = base::Duration(ttl);
  return view;
}

}  // namespace

std::string KeptText(const PipelineDefinition& definition, const ViewDefinition& view) {
  const StreamDefinition& stream = definition.streams[view.stream];
  std::string text =
      fmt::format("from {} time {} by {} where {} horizon {} {}\n", stream.name,
                  NameAndType(*stream.schema(), stream.timing.event_time_field),
                  KeyText(view, *stream.schema()), view.where ? view.where->text() : "",
                  view.horizon().count(), view.lifetime() ? "lifetime" : "windows");
  if (stream.derived())
    text += fmt::format("derived {}\n", DerivationText(definition, view.stream));
  // Of horizons that are equal, more may be folded.
  if (view.precision)
    text += fmt::format("precision {} settled {}\n", view.precision->count(),
                        (view.history + view.ending()).count());
  if (view.last_rows() > 0) text += fmt::format("last rows {}\n", view.last_rows());
  if (view.where) {
    if (!view.where->semantics().empty())
      text += fmt::format("where by {}\n", view.where->semantics());
    if (const std::string narrow = NarrowInputs(*view.where, *stream.schema()); !narrow.empty())
      text += fmt::format("where{}\n", narrow);
  }
  for (const Expression& argument : view.arguments) {
    text += fmt::format("argument {} {}{}\n", columns::NameOf(argument.type()), argument.text(),
                        NarrowInputs(argument, *stream.schema()));
    if (!argument.semantics().empty()) text += fmt::format("by {}\n", argument.semantics());
  }
  const AggregatePlan plan = PlanOf(view);
  for (const Slot& slot : plan.slots()) {
    text +=
        fmt::format("slot {} {} {} {} {}", static_cast<int>(slot.kind), static_cast<int>(slot.cell),
                    IndexText(slot.argument), IndexText(slot.where), slot.bits);
    if (slot.size != 0) text += fmt::format(" size {}", slot.size);
    if (slot.half_life.count() != 0) text += fmt::format(" half-life {}", slot.half_life.count());
    text += '\n';
  }
  return text;
}

ViewLayout::View LayoutOf(const PipelineDefinition& definition, const ViewDefinition& view,
                          base::EpochId since) {
  std::string kept = KeptText(definition, view);
  if (since.value != 0) kept += fmt::format("since {}\n", since.value);
  return {view.name, std::move(kept), view.forgets_after() ? view.ttl : std::nullopt};
}

bool IsStateOf(const ViewLayout::View& captured, const ViewLayout::View& view) {
  if (captured.kept != view.kept) return false;
  if (!captured.keys_ttl) return true;
  return view.keys_ttl && *view.keys_ttl <= *captured.keys_ttl;
}

ViewLayout LayoutOf(const PipelineDefinition& definition, const ViewsSince& since) {
  ViewLayout layout;
  for (const ViewDefinition& view : definition.views) {
    layout.views.push_back(LayoutOf(definition, view, SinceOf(since, view.name)));
    if (std::find(layout.entities.begin(), layout.entities.end(), view.entity) ==
        layout.entities.end())
      layout.entities.push_back(view.entity);
  }
  std::sort(layout.entities.begin(), layout.entities.end());
  return layout;
}

std::vector<uint8_t> EncodeLayout(const ViewLayout& layout) {
  std::vector<uint8_t> bytes;
  columns::ByteWriter out(bytes);
  out.U32(kSemantics);
  out.U32(static_cast<uint32_t>(layout.views.size()));
  for (const ViewLayout::View& view : layout.views) {
    out.Text(view.name);
    out.Text(view.keys_ttl ? fmt::format("{}{}{}\n", view.kept, kKeysTtl, view.keys_ttl->count())
                           : view.kept);
  }
  out.U32(static_cast<uint32_t>(layout.entities.size()));
  for (const std::string& entity : layout.entities) out.Text(entity);
  return bytes;
}

base::Result<ViewLayout> DecodeLayout(std::span<const uint8_t> bytes) {
  columns::ByteReader in(bytes);
  HR_TRY(const uint32_t semantics, in.U32());
  if (semantics != kSemantics)
    return base::Fail(base::ErrorCode::kUnsupported,
                      fmt::format("the state was captured under semantics version {}, this is {}",
                                  semantics, kSemantics));
  ViewLayout layout;
  HR_TRY(const uint32_t views, in.U32());
  for (uint32_t i = 0; i < views; ++i) {
    HR_TRY(const std::string_view name, in.Text());
    HR_TRY(const std::string_view kept, in.Text());
    HR_TRY(ViewLayout::View view, ParseView(kept));
    view.name = name;
    layout.views.push_back(std::move(view));
  }
  HR_TRY(const uint32_t entities, in.U32());
  for (uint32_t i = 0; i < entities; ++i) {
    HR_TRY(const std::string_view entity, in.Text());
    layout.entities.emplace_back(entity);
  }
  return layout;
}

}  // namespace headrace::pipeline

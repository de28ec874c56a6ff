#include "serving/caller_rights.h"

#include <string>

namespace headrace::serving {
namespace {

using access::Verb;

std::unexpected<base::Error> Refused(const access::Caller& caller, std::string needs,
                                     std::string message) {
  return base::Fail(base::Error(base::ErrorCode::kUnauthorized, std::move(message))
                        .With("token", caller.name)
                        .With("needs", std::move(needs)));
}

std::unexpected<base::Error> IsRestricted(const access::Caller& caller, const std::string& name) {
  return Refused(caller, "restricted",
                 "`" + name +
                     "` is computed from a restricted column, which the scopes of this "
                     "token do not allow: ask for the others by name");
}

}  // namespace

base::Result<void> CheckView(const access::Caller& caller, const pipeline::ViewDefinition& view) {
  if (caller.scope.Allows(Verb::kRead, view.name)) return {};
  return Refused(caller, "read:" + view.name,
                 "the scopes of this token do not allow to read view `" + view.name + "`");
}

base::Result<void> CheckOutput(const access::Caller& caller,
                               const pipeline::PipelineDefinition& definition,
                               const pipeline::RestrictedFeatures& restricted, size_t view,
                               size_t output) {
  if (caller.scope.restricted() || !restricted.outputs[view][output]) return {};
  const pipeline::ViewDefinition& of = definition.views[view];
  return IsRestricted(caller, of.name + "." + of.outputs[output].name);
}

base::Result<void> CheckKeys(const access::Caller& caller,
                             const pipeline::PipelineDefinition& definition,
                             const pipeline::RestrictedFeatures& restricted, size_t view) {
  if (caller.scope.restricted()) return {};
  const pipeline::ViewDefinition& of = definition.views[view];
  for (const size_t field : of.by) {
    if (!restricted.streams[of.stream].columns[field]) continue;
    const std::string& column = definition.streams[of.stream].schema()->field(field).name;
    return Refused(caller, "restricted",
                   "keys of view `" + of.name + "` have the restricted column `" + column +
                       "`, which the scopes of this token do not allow: read keys that you know");
  }
  return {};
}

base::Result<void> CheckPlan(const access::Caller& caller,
                             const pipeline::PipelineDefinition& definition,
                             const pipeline::RestrictedFeatures& restricted,
                             const AnswerPlan& plan) {
  if (plan.service.empty() || !caller.scope.Allows(Verb::kRead, plan.service))
    for (const PlanView& planned : plan.views)
      HR_TRY_VOID(CheckView(caller, definition.views[planned.view]));
  if (caller.scope.restricted()) return {};
  for (const PlanSource& source : plan.sources) {
    if (source.kind == PlanSource::Kind::kView)
      HR_TRY_VOID(
          CheckOutput(caller, definition, restricted, plan.views[source.slot].view, source.output));
    if (source.kind == PlanSource::Kind::kOnRequest &&
        restricted.on_request[plan.on_request[source.slot].feature])
      return IsRestricted(caller, definition.on_request[plan.on_request[source.slot].feature].name);
  }
  return {};
}

}  // namespace headrace::serving

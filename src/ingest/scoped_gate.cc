#include "ingest/scoped_gate.h"

namespace headrace::ingest {

base::Result<StreamHandle> ScopedGate::Find(std::string_view stream) const {
  if (caller_ != nullptr && !caller_->scope.Allows(access::Verb::kPush, stream))
    return base::Fail(
        base::Error(base::ErrorCode::kUnauthorized, "the scopes of this token do not allow it")
            .With("token", caller_->name)
            .With("needs", "push:" + std::string(stream)));
  return behind_.Find(stream);
}

}  // namespace headrace::ingest

#include "wiring/query_flag.h"

#include <fmt/format.h>

#include "protocols/target.h"

namespace headrace::wiring {

base::Result<bool> QueryFlag(const protocols::HttpRequest& request, std::string_view name) {
  const auto text = request.Query(name);
  const auto flag = protocols::ReadFlag(text.value_or("false"));
  if (flag) return *flag;
  return base::Fail(
      base::Error(base::ErrorCode::kInvalidInput,
                  fmt::format("{} `{}` is neither true nor false: say which", name, *text))
          .With("field", std::string(name)));
}

}  // namespace headrace::wiring

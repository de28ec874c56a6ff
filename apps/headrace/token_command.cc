// headrace token create: a new token, printed once; the token file gets its digest.

#include <fmt/core.h>

#include <cstdlib>
#include <sstream>

#include "access/access_list.h"
#include "access/token.h"
#include "base/next_step.h"
#include "commands.h"
#include "env/edited_file.h"
#include "env/environment.h"

namespace headrace::app {
namespace {

bool HasName(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    std::string first;
    if (std::istringstream(line) >> first && first == name) return true;
  }
  return false;
}

base::Result<std::string> Create(const TokenCreateOptions& options) {
  HR_TRY_VOID(access::CheckCallerName(options.name));
  HR_TRY(const access::Scope scope, access::Scope::Parse(options.scope));
  const auto environment = env::MakeRealEnvironment();
  HR_TRY(const auto file, env::EditedFile::Open(options.file));
  std::string text = file->text();
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  if (HasName(text, options.name))
    return base::Fail(
        base::Error(base::ErrorCode::kAlreadyExists,
                    fmt::format("the file has a token called `{}` already", options.name))
            .With("file", options.file)
            .With(base::kNextStep,
                  "choose another --name; or remove its line, which revokes the old one, and "
                  "repeat"));
  std::string token = access::MakeToken(*environment);
  text += access::AccessLine(options.name, scope, token);
  HR_TRY_VOID(access::AccessList::Check(text));
  HR_TRY_VOID(file->Replace(text));
  return token;
}

}  // namespace

std::string TokenOfEnvironment() {
  const char* token = std::getenv("HEADRACE_TOKEN");
  return token == nullptr ? std::string() : std::string(token);
}

int RunTokenCreate(const TokenCreateOptions& options, CommandContext& context) {
  const auto token = Create(options);
  if (!token) return ReportError(context, token.error());
  if (context.json()) {
    fmt::print(context.out,
               R"({{"name":"{}","token":"{}"}})"
               "\n",
               options.name, *token);
    return 0;
  }
  fmt::print(context.out, "{}\n", *token);
  fmt::print(
      context.err,
      "this is the only time that it is shown; {} has its digest, and a running engine reads "
      "it within two seconds\n",
      options.file);
  return 0;
}

}  // namespace headrace::app

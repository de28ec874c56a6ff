#include "protocols/problem.h"

#include <gtest/gtest.h>

namespace headrace::protocols {
namespace {

using base::Error;
using base::ErrorCode;

TEST(ProblemTest, SaysWhatIsWrongAndWhatToDo) {
  const HttpResponse response = ProblemResponse(Error(ErrorCode::kNotFound, "no view \"cart\"")
                                                    .With("view", "cart")
                                                    .With("did_you_mean", "card"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.content_type, "application/problem+json");
  EXPECT_EQ(
      response.body,
      R"({"type":"urn:headrace:error:NotFound","title":"NotFound","status":404,"detail":"no view \"cart\"",)"
      R"("code":"HR0901","caller_should":"name something that exists",)"
      R"("context":{"view":"cart","did_you_mean":"card"}})");
}

TEST(ProblemTest, TakesACloserStatusAndADiagnosticsCode) {
  const HttpResponse response =
      ProblemResponse(Error(ErrorCode::kInvalidInput, "x").With("code", "HR0214"), 413);
  EXPECT_EQ(response.status, 413);
  EXPECT_NE(response.body.find("\"code\":\"HR0214\""), std::string::npos);
  EXPECT_NE(response.body.find("\"context\":{}"), std::string::npos);
}

TEST(ProblemTest, AsksToRetryLater) {
  for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kResourceExhausted}) {
    const HttpResponse response = ProblemResponse(Error(code, "x"));
    ASSERT_EQ(response.fields.size(), 1);
    EXPECT_EQ(response.fields[0].name, "Retry-After");
  }
}

}  // namespace
}  // namespace headrace::protocols

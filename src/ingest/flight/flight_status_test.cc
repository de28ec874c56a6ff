#include "ingest/flight/flight_status.h"

#include <arrow/flight/types.h>
#include <arrow/status.h>
#include <gtest/gtest.h>

namespace headrace::ingest {
namespace {

using arrow::flight::FlightStatusCode;
using arrow::flight::MakeFlightError;
using base::ErrorCode;

TEST(FlightStatus, CodeAndSentenceComeBack) {
  for (const base::ErrorCodeRow& row : base::ErrorCodes()) {
    const base::Error back = FromFlightStatus(ToFlightStatus({row.code, "no rows"}));
    EXPECT_EQ(back.code(), row.code);
    EXPECT_EQ(back.message(), "no rows");
  }
}

// As a client has them from a server that refuses its token: with gRPC's words around.
TEST(FlightStatus, ARefusedTokenIsNoBug) {
  const base::Error unknown = FromFlightStatus(MakeFlightError(
      FlightStatusCode::Unauthenticated,
      "Flight returned unauthenticated error, with message: a token that nobody has. gRPC client "
      "debug context: UNKNOWN"));
  EXPECT_EQ(unknown.code(), ErrorCode::kUnauthorized);
  EXPECT_EQ(unknown.message(), "a token that nobody has");
  const base::Error narrow = FromFlightStatus(
      MakeFlightError(FlightStatusCode::Unauthorized, "the scopes of token a do not allow it"));
  EXPECT_EQ(narrow.code(), ErrorCode::kUnauthorized);
}

TEST(FlightStatus, WithoutOurCode) {
  EXPECT_EQ(FromFlightStatus(MakeFlightError(FlightStatusCode::Unavailable, "gone")).code(),
            ErrorCode::kUnavailable);
  EXPECT_EQ(FromFlightStatus(arrow::Status::Invalid("what?")).code(), ErrorCode::kInternal);
}

}  // namespace
}  // namespace headrace::ingest

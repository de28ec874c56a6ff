#include "ingest/flight/flight_status.h"

#include <arrow/flight/types.h>
#include <arrow/status.h>
#include <fmt/core.h>

#include "base/result.h"

namespace headrace::ingest {
namespace {

using arrow::Status;
using arrow::flight::FlightStatusCode;
using arrow::flight::MakeFlightError;
using base::ErrorCode;

// What gRPC and Arrow add before and behind a server's message.
std::string_view WithoutClientContext(std::string_view message) {
  constexpr std::string_view kHead = " error, with message: ";
  if (message.starts_with("Flight returned ") || message.starts_with("gRPC returned "))
    if (const size_t at = message.find(kHead); at != std::string_view::npos)
      message.remove_prefix(at + kHead.size());
  for (const std::string_view tail :
       {". Client context:", ". gRPC client debug context:", ". Detail:"}) {
    message = message.substr(0, message.find(tail));
  }
  return message;
}

}  // namespace

Status ToFlightStatus(const base::Error& error) {
  std::string text = error.ToString();
  const std::string_view name = RowOf(error.code()).name;
  text = fmt::format("[{}]{}", name, text.substr(name.size() + 1));
  switch (error.code()) {
    case ErrorCode::kInvalidInput:
    case ErrorCode::kConflict:
    case ErrorCode::kFailedPrecondition: return Status::Invalid(text);
    case ErrorCode::kNotFound: return Status::KeyError(text);
    case ErrorCode::kAlreadyExists: return Status::AlreadyExists(text);
    case ErrorCode::kUnsupported: return Status::NotImplemented(text);
    case ErrorCode::kStorageFull: return Status::CapacityError(text);
    case ErrorCode::kUnavailable:
    case ErrorCode::kResourceExhausted: return MakeFlightError(FlightStatusCode::Unavailable, text);
    case ErrorCode::kDeadlineExceeded: return MakeFlightError(FlightStatusCode::TimedOut, text);
    case ErrorCode::kUnauthorized: return MakeFlightError(FlightStatusCode::Unauthorized, text);
    case ErrorCode::kIoError:
    case ErrorCode::kCorruption:
    case ErrorCode::kInternal: break;
  }
  return MakeFlightError(FlightStatusCode::Internal, text);
}

base::Error FromFlightStatus(const Status& status) {
  const std::string_view message = WithoutClientContext(status.message());
  for (const base::ErrorCodeRow& row : base::ErrorCodes()) {
    const std::string mark = fmt::format("[{}] ", row.name);
    const size_t at = message.find(mark);
    if (at != std::string_view::npos)
      return {row.code, std::string(message.substr(at + mark.size()))};
  }
  const auto detail = arrow::flight::FlightStatusDetail::UnwrapStatus(status);
  if (detail != nullptr && (detail->code() == FlightStatusCode::Unauthenticated ||
                            detail->code() == FlightStatusCode::Unauthorized))
    return {ErrorCode::kUnauthorized, std::string(message)};
  const bool broken = detail != nullptr && (detail->code() == FlightStatusCode::Unavailable ||
                                            detail->code() == FlightStatusCode::Cancelled);
  const bool retry = broken || (detail == nullptr && (status.IsIOError() || status.IsCancelled()));
  return {retry ? ErrorCode::kUnavailable : ErrorCode::kInternal, std::string(message)};
}

}  // namespace headrace::ingest

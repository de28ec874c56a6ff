#pragma once
// An epoch's bytes (the payload of a record) and back. docs/internals/log-format.md has the layout.

#include <memory>
#include <span>

#include "base/result.h"
#include "columns/batch_codec.h"
#include "log/catalogue.h"
#include "log/epoch.h"

namespace headrace::log {

// At least as many bytes as EncodeEpoch will write for this epoch with these preface entries.
uint64_t EncodedBytesMax(const Epoch& epoch, std::span<const StreamEntry> preface);

// Appends the epoch. `preface`: the streams known before it, for the first record of a segment;
// else empty.
void EncodeEpoch(const Epoch& epoch, std::span<const StreamEntry> preface,
                 columns::ByteWriter& out);

// Reads it back. `catalogue` is extended by the preface and by the epoch's own kStream entries.
// `owner` keeps `payload` alive; the batches point into it. `payload` must begin at an address that
// is a multiple of 8, or columns are copied. Errors: kCorruption for anything that EncodeEpoch does
// not write.
base::Result<Epoch> DecodeEpoch(std::span<const uint8_t> payload, Catalogue& catalogue,
                                const std::shared_ptr<const void>& owner);

// A list of streams: u32 count; each text name, u32 size, stream entry.
void EncodePreface(std::span<const StreamEntry> preface, columns::ByteWriter& out);
base::Result<void> DecodePreface(columns::ByteReader& in, Catalogue& catalogue);

// The epoch without its rows and outcomes, of which nothing is looked at.
base::Result<Epoch> DecodeEpochWithoutRows(std::span<const uint8_t> payload, Catalogue& catalogue);

// Only what extends the catalogue, for a reader that skips the epoch.
base::Result<void> LearnStreams(std::span<const uint8_t> payload, Catalogue& catalogue);

}  // namespace headrace::log

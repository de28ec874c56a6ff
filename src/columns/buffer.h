#pragma once
// A run of immutable bytes and whoever keeps them alive (our own vector, an Arrow buffer, a mapped
// log segment).

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace headrace::columns {

// Cheap to copy; immutable, so any thread may read it.
class Buffer {
 public:
  Buffer() = default;
  // Takes the vector's bytes.
  static Buffer Own(std::vector<uint8_t> bytes);
  template <typename T>
  static Buffer OwnValues(std::vector<T> values) {
    auto owner = std::make_shared<std::vector<T>>(std::move(values));
    const auto* data = reinterpret_cast<const uint8_t*>(owner->data());
    const size_t size = owner->size() * sizeof(T);
    return Buffer(std::move(owner), data, size);
  }
  // Bytes that live as long as `owner`.
  Buffer(std::shared_ptr<const void> owner, const uint8_t* data, size_t size)
      : owner_(std::move(owner)), data_(data), size_(size) {}

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  template <typename T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data_), size_ / sizeof(T)};
  }

 private:
  std::shared_ptr<const void> owner_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace headrace::columns

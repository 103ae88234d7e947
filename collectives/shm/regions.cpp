#include "collectives/shm/regions.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>

#include "ops/base/error.hpp"

namespace ingot::shm {
namespace {

/// A region's number is its depth and its place in the list, plus 1.
constexpr std::uint32_t kPerDepth = 1 << 16;

/// What a rank tells of a buffer; the file comes beside it.
struct Offer {
  std::int64_t bytes = 0;  ///< 0: nothing is shared
  std::uint64_t address = 0;
};

template <typename T>
std::string pack(const T& value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}
template <typename T>
T unpack(const Message& message, int rank) {
  T value;
  if (message.bytes.size() != sizeof(T)) {
    fail(ExitCode::kInternal, "rank {} of this node sent {} bytes instead of {}", rank,
         message.bytes.size(), sizeof(T));
  }
  std::memcpy(&value, message.bytes.data(), sizeof(T));
  return value;
}

}  // namespace

Regions::Regions(std::shared_ptr<Mesh> mesh, std::vector<int> members,
                 std::shared_ptr<Regions> parent)
    : mesh_(std::move(mesh)), members_(std::move(members)), parent_(std::move(parent)) {
  if (parent_) depth_ = parent_->depth_ + 1;
}

Regions::Window Regions::open(int mesh_rank, const Message& message) const {
  const auto offer = unpack<Offer>(message, mesh_rank);
  if (offer.bytes <= 0) return {};
  if (mesh_->same_process(mesh_rank)) {
    return {.data = reinterpret_cast<std::byte*>(offer.address), .bytes = offer.bytes};
  }
  if (!message.file.open() || !is_memory_of(message.file.get(), offer.bytes)) {
    fail(ExitCode::kInternal, "rank {} of this node shares {} bytes that it does not have",
         mesh_rank, offer.bytes);
  }
  Window window{.mapping = Mapping(message.file.get(), 0, offer.bytes, /*populate=*/true),
                .bytes = offer.bytes};
  window.data = window.mapping.data();
  return window;
}

void Regions::share(const Buffer& buffer) {
  const bool shareable = buffer.descriptor() >= 0;
  const Offer offer{.bytes = shareable ? buffer.bytes() : 0,
                    .address = reinterpret_cast<std::uint64_t>(buffer.data())};
  const std::vector<Message> all =
      mesh_->exchange(members_, pack(offer), shareable ? buffer.descriptor() : -1);
  Region region{.used = true, .windows = {}};
  region.windows.resize(static_cast<std::size_t>(mesh_->size()));
  for (std::size_t i = 0; i < all.size(); ++i) {
    region.windows[static_cast<std::size_t>(members_[i])] = open(members_[i], all[i]);
  }
  // Kept even where nothing is shared, so that unshare() finds what it ends.
  region.windows[static_cast<std::size_t>(mesh_->rank())] = {
      .data = static_cast<std::byte*>(buffer.data()), .bytes = offer.bytes};
  const std::scoped_lock lock(mutex_);
  const auto free = std::ranges::find_if(regions_, [](const Region& r) { return !r.used; });
  if (free != regions_.end()) {
    *free = std::move(region);
  } else {
    ensure(regions_.size() < kPerDepth - 1, "fewer shared buffers");
    regions_.push_back(std::move(region));
  }
}

void Regions::unshare(const Buffer& buffer) {
  // A rank whose buffer is empty cannot tell which region it was: the others do.
  constexpr std::int64_t kUnknown = -1;
  std::int64_t mine = kUnknown;
  {
    const std::shared_lock lock(mutex_);
    const auto found = std::ranges::find_if(regions_, [&](const Region& region) {
      return region.used && own(region).data == buffer.data();
    });
    ensure(found != regions_.end(), "a buffer that was shared");
    if (buffer.data() != nullptr) mine = found - regions_.begin();
  }
  std::int64_t agreed = kUnknown;
  const std::vector<Message> all = mesh_->exchange(members_, pack(mine));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto theirs = unpack<std::int64_t>(all[i], members_[i]);
    if (theirs == kUnknown) continue;
    ensure(agreed == kUnknown || agreed == theirs, "all ranks to unshare the same buffer");
    agreed = theirs;
  }
  const std::scoped_lock lock(mutex_);
  for (std::size_t i = 0; agreed == kUnknown && i < regions_.size(); ++i) {
    const bool nobody = std::ranges::all_of(
        regions_[i].windows, [](const Window& window) { return window.data == nullptr; });
    if (regions_[i].used && nobody) agreed = static_cast<std::int64_t>(i);
  }
  ensure(agreed >= 0 && agreed < static_cast<std::int64_t>(regions_.size()), "a shared buffer");
  regions_[static_cast<std::size_t>(agreed)] = {};
}

const Regions::Window& Regions::own(const Region& region) const {
  return region.windows[static_cast<std::size_t>(mesh_->rank())];
}

Place Regions::find(const void* data, std::int64_t bytes) const {
  const auto* address = static_cast<const std::byte*>(data);
  {
    const std::shared_lock lock(mutex_);
    for (std::size_t i = 0; i < regions_.size(); ++i) {
      if (!regions_[i].used) continue;
      const Window& window = own(regions_[i]);
      if (address < window.data || bytes > window.bytes ||
          address - window.data > window.bytes - bytes) {
        continue;
      }
      return {depth_ * kPerDepth + static_cast<std::uint32_t>(i) + 1,
              static_cast<std::uint64_t>(address - window.data)};
    }
  }
  return parent_ ? parent_->find(data, bytes) : Place{};
}

std::byte* Regions::resolve(int mesh_rank, Place place, std::int64_t bytes) const {
  if (parent_ && place.region / kPerDepth < depth_) {
    return parent_->resolve(mesh_rank, place, bytes);
  }
  const std::shared_lock lock(mutex_);
  const std::uint64_t number = place.region - std::uint64_t{depth_} * kPerDepth - 1;
  if (number < regions_.size() && regions_[number].used) {
    const Window& window = regions_[number].windows[static_cast<std::size_t>(mesh_rank)];
    const auto size = static_cast<std::uint64_t>(window.bytes);
    const auto wanted = static_cast<std::uint64_t>(bytes);
    if (window.data != nullptr && wanted <= size && place.offset <= size - wanted) {
      return window.data + place.offset;
    }
  }
  fail(ExitCode::kInternal,
       "rank {} of this node named {} bytes at {} of region {}, which it has not shared", mesh_rank,
       bytes, place.offset, place.region);
}

}  // namespace ingot::shm

#include "runtime/data/hdf5_writer.hpp"

#include <fcntl.h>
#include <hdf5.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <mutex>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

/// The HDF5 library keeps its state in the process and locks nothing (Debian builds it without
/// thread safety), so its lock belongs to the process too.
std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

/// An HDF5 identifier with the function that closes it.
class Handle {
 public:
  Handle(hid_t id, herr_t (*closer)(hid_t), const std::string& path, const char* what)
      : id_(id), close_(closer) {
    if (id < 0) fail(ExitCode::kCannotWrite, "{}: HDF5 cannot create {}", path, what);
  }
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  hid_t get() const { return id_; }
  /// Closes now; false when that failed, as when the disk is full.
  bool close() { return close_(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

hid_t native(Hdf5Type type) {
  if (type.kind == Hdf5Kind::kFloat) return type.bytes == 4 ? H5T_IEEE_F32LE : H5T_IEEE_F64LE;
  const bool is_signed = type.kind == Hdf5Kind::kSigned;
  switch (type.bytes) {
    case 1:
      return is_signed ? H5T_STD_I8LE : H5T_STD_U8LE;
    case 2:
      return is_signed ? H5T_STD_I16LE : H5T_STD_U16LE;
    case 4:
      return is_signed ? H5T_STD_I32LE : H5T_STD_U32LE;
    default:
      return is_signed ? H5T_STD_I64LE : H5T_STD_U64LE;
  }
}

std::uint64_t create_dataset(hid_t file, const Hdf5PlannedDataset& planned,
                             const std::string& path) {
  const std::vector<hsize_t> extents(planned.extents.begin(), planned.extents.end());
  const Handle space(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr),
                     H5Sclose, path, "a dataspace");
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, path, "properties");
  H5Pset_layout(properties.get(), H5D_CONTIGUOUS);
  H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER);
  // Times in headers would make equal imports differ.
  H5Pset_obj_track_times(properties.get(), false);
  const Handle dataset(H5Dcreate2(file, planned.name.c_str(), native(planned.type), space.get(),
                                  H5P_DEFAULT, properties.get(), H5P_DEFAULT),
                       H5Dclose, path, planned.name.c_str());
  const haddr_t offset = H5Dget_offset(dataset.get());
  return offset == HADDR_UNDEF ? 0 : offset;  // undefined: no elements, nothing will be written
}

void create_attribute(hid_t file, const std::string& name,
                      const std::variant<std::int64_t, std::string>& value,
                      const std::string& path) {
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose, path, "a dataspace");
  const std::string* text = std::get_if<std::string>(&value);
  const Handle type(H5Tcopy(text != nullptr ? H5T_C_S1 : H5T_STD_I64LE), H5Tclose, path, "a type");
  // Fixed-length strings end with a terminator, so the empty text has a size too.
  if (text != nullptr) {
    H5Tset_size(type.get(), text->size() + 1);
    H5Tset_cset(type.get(), H5T_CSET_UTF8);
  }
  const Handle attribute(
      H5Acreate2(file, name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
      path, name.c_str());
  const void* data =
      text != nullptr ? static_cast<const void*>(text->c_str()) : &std::get<std::int64_t>(value);
  if (H5Awrite(attribute.get(), type.get(), data) < 0) {
    fail(ExitCode::kCannotWrite, "{}: HDF5 cannot write the attribute {}", path, name);
  }
}

std::vector<std::uint64_t> create_file(const std::string& path, const Hdf5Plan& plan) {
  const std::lock_guard lock(library_mutex());
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // our messages, not the library's stack dumps
  H5PLset_loading_state(0);                     // no plugins from the environment
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, path, "properties");
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V18);
  H5Pset_alignment(access.get(), 4096, 4096);  // bulk data on pages, metadata packed
  const Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose, path, "properties");
  // All links and attributes in the object header, where read_hdf5 looks for them.
  H5Pset_link_phase_change(creation.get(), 65535, 0);
  H5Pset_attr_phase_change(creation.get(), 65535, 0);
  H5Pset_obj_track_times(creation.get(), false);
  Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), H5Fclose, path,
              "the file (no permission, or no such folder?)");
  std::vector<std::uint64_t> offsets;
  for (const auto& [name, value] : plan.attributes) create_attribute(file.get(), name, value, path);
  for (const auto& dataset : plan.datasets) {
    offsets.push_back(create_dataset(file.get(), dataset, path));
  }
  if (!file.close()) fail(ExitCode::kCannotWrite, "{}: HDF5 cannot close the file (full?)", path);
  return offsets;
}

std::uint64_t size_in_bytes(const Hdf5PlannedDataset& dataset) {
  std::uint64_t bytes = dataset.type.bytes;
  for (const std::uint64_t extent : dataset.extents) bytes *= extent;
  return bytes;
}

}  // namespace

Hdf5Writer::Hdf5Writer(std::string path, const Hdf5Plan& plan)
    : path_(std::move(path)), temporary_path_(fmt::format("{}.tmp-{}", path_, getpid())) {
  try {
    offsets_ = create_file(temporary_path_, plan);
    for (const auto& dataset : plan.datasets) sizes_.push_back(size_in_bytes(dataset));
    descriptor_ = open(temporary_path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0) {
      fail(ExitCode::kCannotWrite, "{}: cannot open: {}", temporary_path_, std::strerror(errno));
    }
  } catch (...) {
    unlink(temporary_path_.c_str());
    throw;
  }
}

Hdf5Writer::~Hdf5Writer() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  unlink(temporary_path_.c_str());
}

void Hdf5Writer::write(std::size_t dataset, std::uint64_t byte_offset,
                       std::span<const std::byte> bytes) {
  ensure(byte_offset + bytes.size() <= sizes_.at(dataset), "a write inside the planned dataset");
  std::uint64_t position = offsets_[dataset] + byte_offset;
  while (!bytes.empty()) {
    const ssize_t written =
        pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(position));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      fail(ExitCode::kCannotWrite, "{}: cannot write: {}; free some space or choose another place",
           temporary_path_, std::strerror(errno));
    }
    position += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void Hdf5Writer::commit() {
  const auto check = [&](int result, std::string_view what) {
    if (result != 0) {
      fail(ExitCode::kCannotWrite, "{}: cannot {}: {}", path_, what, std::strerror(errno));
    }
  };
  check(fsync(descriptor_), "make the file durable");
  check(rename(temporary_path_.c_str(), path_.c_str()), "rename the finished file");
  close(std::exchange(descriptor_, -1));
  // The rename itself is durable once the folder is.
  const auto folder = std::filesystem::absolute(path_).parent_path();
  const int directory = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    fsync(directory);
    close(directory);
  }
}

}  // namespace ingot

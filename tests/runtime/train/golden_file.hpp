// Reads a recorded curve (tests/golden/README.md) with the HDF5 library: unlike data sets, these
// files are the repository's own, and they have groups, which the strict reader of data sets does
// not take.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace ingot::test {

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& path)
      : path_(path), file_(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT)) {
    if (file_ < 0) throw std::runtime_error("cannot open " + path);
  }
  ~GoldenFile() { H5Fclose(file_); }
  GoldenFile(const GoldenFile&) = delete;
  GoldenFile& operator=(const GoldenFile&) = delete;

  /// Names inside a group, in alphabetical order.
  std::vector<std::string> names(const std::string& group) const {
    std::vector<std::string> found;
    const auto add = [](hid_t, const char* name, const H5L_info_t*, void* to) -> herr_t {
      static_cast<std::vector<std::string>*>(to)->emplace_back(name);
      return 0;
    };
    check(H5Literate_by_name(file_, group.c_str(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &found,
                             H5P_DEFAULT),
          group);
    return found;
  }

  bool has(const std::string& name) const {
    return H5Lexists(file_, name.c_str(), H5P_DEFAULT) > 0;
  }
  std::vector<float> floats(const std::string& name) const {
    return read<float>(name, H5T_NATIVE_FLOAT);
  }
  std::vector<double> doubles(const std::string& name) const {
    return read<double>(name, H5T_NATIVE_DOUBLE);
  }
  std::vector<std::int32_t> integers(const std::string& name) const {
    return read<std::int32_t>(name, H5T_NATIVE_INT32);
  }

  bool has_attribute(const char* name) const { return H5Aexists(file_, name) > 0; }
  std::int64_t integer(const char* name) const {
    return attribute<std::int64_t>(name, H5T_NATIVE_INT64).front();
  }
  std::vector<std::int64_t> integer_list(const char* name) const {
    return attribute<std::int64_t>(name, H5T_NATIVE_INT64);
  }
  double number(const char* name) const {
    return attribute<double>(name, H5T_NATIVE_DOUBLE).front();
  }
  std::string text(const char* name) const {
    const hid_t opened = H5Aopen(file_, name, H5P_DEFAULT);
    check(opened, name);
    const hid_t type = H5Aget_type(opened);
    std::string result(H5Tget_size(type), '\0');
    const herr_t status = H5Aread(opened, type, result.data());
    H5Tclose(type);
    H5Aclose(opened);
    check(status, name);
    return result.c_str();  // padded with zeros
  }

 private:
  template <typename T>
  std::vector<T> read(const std::string& name, hid_t type) const {
    const hid_t dataset = H5Dopen2(file_, name.c_str(), H5P_DEFAULT);
    check(dataset, name);
    std::vector<T> values(count(H5Dget_space(dataset)));
    const herr_t status = H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    H5Dclose(dataset);
    check(status, name);
    return values;
  }

  template <typename T>
  std::vector<T> attribute(const char* name, hid_t type) const {
    const hid_t opened = H5Aopen(file_, name, H5P_DEFAULT);
    check(opened, name);
    std::vector<T> values(count(H5Aget_space(opened)));
    const herr_t status = H5Aread(opened, type, values.data());
    H5Aclose(opened);
    check(status, name);
    return values;
  }

  static std::size_t count(hid_t space) {
    const hssize_t elements = H5Sget_simple_extent_npoints(space);
    H5Sclose(space);
    return elements < 0 ? 0 : static_cast<std::size_t>(elements);
  }

  void check(hid_t status, const std::string& name) const {
    if (status < 0) throw std::runtime_error(path_ + ": cannot read " + name);
  }

  std::string path_;
  hid_t file_;
};

}  // namespace ingot::test

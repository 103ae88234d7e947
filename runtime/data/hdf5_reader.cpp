#include "runtime/data/hdf5_reader.hpp"

#include <algorithm>
#include <limits>

#include "runtime/data/hdf5_cursor.hpp"
#include "runtime/data/hdf5_messages.hpp"

namespace ingot {
namespace {

using hdf5::kUndefined;

/// Message types of object headers (specification, section IV.A.2).
enum MessageType : std::uint8_t {
  kSpace = 0x01,
  kLinkInfo = 0x02,
  kType = 0x03,
  kLink = 0x06,
  kExternalFiles = 0x07,
  kLayout = 0x08,
  kFilters = 0x0b,
  kAttribute = 0x0c,
  kContinuation = 0x10,
  kSymbolTable = 0x11,
  kAttributeInfo = 0x15
};

struct Message {
  std::uint8_t type = 0;
  bool shared = false;
  std::span<const std::byte> bytes;
};

/// All object headers of a data set together are a few KB. The limit ends files whose headers lead
/// in circles or share their chunks.
constexpr std::uint64_t kMaxHeaderBytes = std::uint64_t{16} << 20;

class Reader {
 public:
  Reader(const FileBytes& file, bool verify) : file_(file), verify_(verify) {}

  Hdf5Contents contents() {
    Hdf5Contents contents;
    for (const Message& message : object_header(root_address(), "root group")) {
      switch (message.type) {
        case kLink:
          contents.datasets.push_back(dataset(hdf5::read_link(file_, message.bytes)));
          break;
        case kAttribute:
          contents.attributes.push_back(hdf5::read_attribute(file_, message.bytes));
          break;
        case kLinkInfo:
          refuse_dense(message.bytes, 8, "datasets");
          break;
        case kAttributeInfo:
          refuse_dense(message.bytes, 2, "attributes");
          break;
        case kSymbolTable:
          refuse_old_layout("a group with a symbol table");
        default:
          break;  // times, group parameters: nothing that matters here
      }
    }
    return contents;
  }

 private:
  [[noreturn]] void refuse_old_layout(std::string_view found) {
    fail(ExitCode::kBadData,
         "{}: {} (HDF5's layout from before version 1.8), expected the newer one; make the file "
         "with `ingot data import`, or from Python with h5py.File(..., libver=\"latest\")",
         file_.path, found);
  }

  [[noreturn]] void refuse_damaged(std::string_view what, std::uint64_t offset) {
    fail(ExitCode::kBadData,
         "{}: damaged HDF5 file: {} at offset {} of {} bytes; copy or import it again", file_.path,
         what, offset, file_.bytes.size());
  }

  std::span<const std::byte> at(std::uint64_t address, std::string_view what) {
    if (address >= file_.bytes.size()) {
      refuse_damaged(fmt::format("the {} lies past the end,", what), address);
    }
    return file_.bytes.subspan(static_cast<std::size_t>(address));
  }

  /// Counts header bytes before they are read.
  void spend(std::uint64_t bytes, std::uint64_t address) {
    if (bytes > kMaxHeaderBytes - header_bytes_) {
      refuse_damaged(fmt::format("more than {} bytes of object headers", kMaxHeaderBytes), address);
    }
    header_bytes_ += bytes;
  }

  /// `bytes` ends with the checksum of what is before it.
  void verify(std::span<const std::byte> bytes, std::string_view what) {
    if (!verify_) return;
    std::uint32_t expected = 0;
    std::memcpy(&expected, bytes.data() + bytes.size() - 4, 4);
    if (hdf5_checksum(bytes.first(bytes.size() - 4)) != expected) {
      refuse_damaged(fmt::format("wrong checksum of the {}", what),
                     static_cast<std::uint64_t>(bytes.data() - file_.bytes.data()));
    }
  }

  std::uint64_t root_address() {
    static constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
    if (!file_.text().starts_with(kSignature)) {
      fail(ExitCode::kBadData,
           "{}: not an HDF5 file: it lacks the signature of one; make data sets with `ingot data "
           "import`",
           file_.path);
    }
    Hdf5Cursor cursor(file_.path, "superblock", file_.bytes.subspan(kSignature.size()));
    const int version = cursor.u8();
    if (version < 2) refuse_old_layout(fmt::format("superblock of version {}", version));
    const int offset_bytes = cursor.u8();
    const int length_bytes = cursor.u8();
    cursor.u8();  // consistency flags of a writer
    if (version > 3 || offset_bytes != 8 || length_bytes != 8) {
      fail(ExitCode::kBadData,
           "{}: superblock of version {} with {}-byte offsets, expected version 2 or 3 and 8 bytes",
           file_.path, version, offset_bytes);
    }
    const std::uint64_t base = cursor.u64();
    cursor.u64();  // extension: B-tree and free-space parameters, not needed to read
    const std::uint64_t end = cursor.u64();
    const std::uint64_t root = cursor.u64();
    cursor.u32();
    verify(file_.bytes.first(48), "superblock");
    if (base != 0) refuse_damaged("base address is not zero,", base);
    if (end > file_.bytes.size()) {
      fail(ExitCode::kBadData, "{}: truncated: {} bytes, expected {}; copy or import it again",
           file_.path, file_.bytes.size(), end);
    }
    return root;
  }

  std::vector<Message> object_header(std::uint64_t address, std::string_view what) {
    const auto start = at(address, what);
    Hdf5Cursor cursor(file_.path, "object header", start);
    if (start[0] == std::byte{1}) refuse_old_layout("an object header of version 1");
    const std::string magic = cursor.text(4);
    const int version = cursor.u8();
    const int flags = cursor.u8();
    if (magic != "OHDR" || version != 2) {
      refuse_damaged(fmt::format("no object header of the {}", what), address);
    }
    if ((flags & 0x20) != 0) cursor.take(16);  // times
    if ((flags & 0x10) != 0) cursor.take(4);   // limits of compact storage
    const std::uint64_t size = cursor.sized(1 << (flags & 3));
    spend(size, address);
    const std::size_t head = start.size() - cursor.left();
    std::vector<Message> messages;
    // Ranges still to be read: the first chunk and then every continuation that is met.
    std::vector<std::span<const std::byte>> chunks = {cursor.take(size)};
    cursor.u32();
    verify(start.first(head + static_cast<std::size_t>(size) + 4), what);
    for (std::size_t chunk = 0; chunk < chunks.size(); ++chunk) {
      // By value: read_chunk() appends to chunks.
      const std::span<const std::byte> bytes = chunks[chunk];
      read_chunk(bytes, (flags & 4) != 0, messages, chunks);
    }
    return messages;
  }

  void read_chunk(std::span<const std::byte> bytes, bool ordered, std::vector<Message>& messages,
                  std::vector<std::span<const std::byte>>& chunks) {
    Hdf5Cursor cursor(file_.path, "object header", bytes);
    const std::size_t smallest = ordered ? 6 : 4;
    // What is too small for a message is a gap.
    while (cursor.left() >= smallest) {
      Message message;
      message.type = cursor.u8();
      const std::uint16_t size = cursor.u16();
      message.shared = (cursor.u8() & 2) != 0;
      if (ordered) cursor.u16();
      message.bytes = cursor.take(size);
      if (message.type != kContinuation) {
        messages.push_back(message);
        continue;
      }
      Hdf5Cursor where(file_.path, "continuation message", message.bytes);
      const std::uint64_t address = where.u64();
      const std::uint64_t length = where.u64();
      const auto rest = at(address, "continued object header");
      if (length < 8 || length > rest.size() || std::memcmp(rest.data(), "OCHK", 4) != 0) {
        refuse_damaged("no continued object header", address);
      }
      spend(length, address);
      const auto chunk = rest.first(static_cast<std::size_t>(length));
      verify(chunk, "continued object header");
      chunks.push_back(chunk.subspan(4, chunk.size() - 8));
    }
  }

  /// Link info and attribute info: a fractal heap stands where there are too many for the header.
  void refuse_dense(std::span<const std::byte> bytes, int order_bytes, std::string_view what) {
    Hdf5Cursor cursor(file_.path, "group information", bytes);
    cursor.u8();
    if ((cursor.u8() & 1) != 0) cursor.take(static_cast<std::uint64_t>(order_bytes));
    if (cursor.u64() != kUndefined) {
      fail(ExitCode::kBadData,
           "{}: holds more {} than a data set has (or too large ones); make data sets with `ingot "
           "data import`",
           file_.path, what);
    }
  }

  Hdf5Dataset dataset(const hdf5::Link& link) {
    const auto refuse = [&](std::string_view found, std::string_view expected) {
      fail(ExitCode::kBadData,
           "{}: /{} is {}, expected {}; make data sets with `ingot data import`", file_.path,
           link.name, found, expected);
    };
    if (!link.description.empty()) refuse(link.description, "a dataset in this file");
    std::optional<hdf5::Space> space;
    std::optional<hdf5::Type> type;
    std::optional<hdf5::Layout> layout;
    for (const Message& message : object_header(link.address, "/" + link.name)) {
      const bool matters =
          message.type == kSpace || message.type == kType || message.type == kLayout;
      if (matters && message.shared) refuse("of a named (committed) type", "a plain number type");
      if (message.type == kSpace) space = hdf5::read_space(file_, message.bytes);
      if (message.type == kType) type = hdf5::read_type(file_, message.bytes);
      if (message.type == kLayout) layout = hdf5::read_layout(file_, message.bytes);
      if (message.type == kFilters) refuse("stored through filters (compressed?)", "plain storage");
      if (message.type == kExternalFiles) refuse("stored in external files", "data in this file");
      if (message.type == kLink || message.type == kLinkInfo) refuse("a group", "a dataset");
    }
    if (!space || !type || !layout) refuse("no dataset", "one with space, type and layout");
    if (!type->number) {
      refuse("of " + type->description, "little-endian integers or IEEE floats");
    }
    if (!layout->description.empty()) {
      refuse(layout->description + " storage", "contiguous storage");
    }
    Hdf5Dataset result{link.name, *type->number, space->extents, space->count, layout->address};
    std::uint64_t bytes = 0;
    if (__builtin_mul_overflow(result.count, std::uint64_t{result.type.bytes}, &bytes)) {
      refuse(fmt::format("of {} elements", result.count), "a size that a file can have");
    }
    if (bytes == 0) {
      result.offset = 0;
      return result;
    }
    if (layout->address == kUndefined) {
      refuse("without storage (never written)", "allocated contiguous storage");
    }
    std::uint64_t end = 0;
    if (bytes > layout->bytes || __builtin_add_overflow(layout->address, bytes, &end) ||
        end > file_.bytes.size()) {
      refuse(fmt::format("{} bytes at offset {}", bytes, layout->address),
             fmt::format("something inside the file's {} bytes", file_.bytes.size()));
    }
    return result;
  }

  const FileBytes& file_;
  bool verify_;
  std::uint64_t header_bytes_ = 0;
};

}  // namespace

std::string Hdf5Type::text() const {
  const std::string_view name = kind == Hdf5Kind::kFloat    ? "float"
                                : kind == Hdf5Kind::kSigned ? "int"
                                                            : "uint";
  return fmt::format("{}{}", name, bytes * 8);
}

const Hdf5Dataset* Hdf5Contents::find(const std::string& name) const {
  const auto found = std::ranges::find(datasets, name, &Hdf5Dataset::name);
  return found == datasets.end() ? nullptr : &*found;
}

const Hdf5Attribute* Hdf5Contents::find_attribute(const std::string& name) const {
  const auto found = std::ranges::find(attributes, name, &Hdf5Attribute::name);
  return found == attributes.end() ? nullptr : &*found;
}

Hdf5Contents read_hdf5(const FileBytes& file, bool verify_checksums) {
  return Reader(file, verify_checksums).contents();
}

}  // namespace ingot

// CSV import, table data sets and their loader, end to end and with everything that is refused.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "runtime/data/csv.hpp"
#include "runtime/data/import.hpp"
#include "runtime/data/inspect.hpp"
#include "runtime/data/prefetcher.hpp"
#include "runtime/data/table_loader.hpp"
#include "tests/runtime/data/temporary_folder.hpp"

namespace ingot {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::vector<std::string>> rows_of(const TemporaryFolder& folder,
                                              const std::string& text, char delimiter = ',') {
  const FileBytes file = map_file(folder.write("cells.csv", text));
  CsvReader reader(file, delimiter);
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string_view> cells;
  while (reader.next(cells)) rows.emplace_back(cells.begin(), cells.end());
  return rows;
}

TEST(CsvReader, ReadsQuotesLineBreaksAndEmptyCells) {
  const TemporaryFolder folder;
  using Rows = std::vector<std::vector<std::string>>;
  EXPECT_EQ(rows_of(folder, "a,b\n1,2\n"), (Rows{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(rows_of(folder,
                    "\xEF\xBB\xBF"
                    "a,b\r\n\r\n1,2"),
            (Rows{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(rows_of(folder, "\"a \"\"x\"\", y\",\"b\nc\"\r\n,\n"),
            (Rows{{"a \"x\", y", "b\nc"}, {"", ""}}));
  EXPECT_EQ(rows_of(folder, "\"\"\"a\",\"b\"\"\",\"\"\"\"\n"), (Rows{{"\"a", "b\"", "\""}}));
  EXPECT_EQ(rows_of(folder, "a;b\n", ';'), (Rows{{"a", "b"}}));
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { rows_of(folder, "a\n\"b\nc\n"); }),
              HasSubstr("cells.csv:2: a quoted cell"));
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { rows_of(folder, "a\n\"b\nc\"d\n"); }),
              HasSubstr("cells.csv:3: text after"));
}

class TableTest : public testing::Test {
 protected:
  std::string import_error(const std::string& text, ExitCode code = ExitCode::kBadData) {
    const std::string path = folder_.write("t.csv", text);
    return error_of(code, [&] { import_csv({path}, out_, options_); });
  }
  ImportReport import(const std::string& text) {
    return import_csv({folder_.write("t.csv", text)}, out_, options_);
  }

  const TemporaryFolder folder_;
  const std::string out_ = folder_.file("out.h5");
  ImportOptions options_ = [] {
    ImportOptions options;
    options.label = "y";
    options.split = SplitRule::kEnd;
    options.validation = 0.25;
    return options;
  }();
};

const char* const kSmall =
    "amount,country,y,code,empty\n"
    "1.5,de,no,1,\n"
    "2.5,fr,yes,2,\n"
    "+3.5e0,\"de\",no,1,\n"
    "100,it,yes,3,\n";

TEST_F(TableTest, ImportsColumnsByWhatTheyHold) {
  options_.categorical = {"code"};
  const auto report = import(kSmall);
  EXPECT_EQ(report.train.items, 3);
  EXPECT_EQ(report.validation.items, 1);
  const TableDataset train = TableDataset::open(out_);
  const TableHeader& header = train.header();
  EXPECT_THAT(header.features, ElementsAre("amount"));
  ASSERT_EQ(header.categories.size(), 2U);
  EXPECT_EQ(header.categories[0].name, "country");
  // Italy appears in validation only and is unknown.
  EXPECT_THAT(header.categories[0].values, ElementsAre("de", "fr"));
  EXPECT_THAT(header.categories[1].values, ElementsAre("1", "2"));
  EXPECT_THAT(header.classes, ElementsAre("no", "yes"));
  EXPECT_FLOAT_EQ(header.mean[0], 2.5F);
  EXPECT_FLOAT_EQ(header.deviation[0], std::sqrt(2.0F / 3));
  EXPECT_EQ(train.rows(), 3);
  EXPECT_EQ(train.feature(2, 0), 3.5F);
  EXPECT_EQ(train.category(1, 0), 2);
  EXPECT_EQ(train.label(1), 1);
  EXPECT_EQ(train.category_rows(), 6);
  const TableDataset validation = TableDataset::open(validation_path(out_));
  EXPECT_EQ(validation.category(0, 0), 0);
  EXPECT_EQ(validation.header().mean, header.mean);
  expect_equal_columns(validation, train);
}

TEST_F(TableTest, IsReadableWithH5py) {
  import(kSmall);
  EXPECT_TRUE(run_python(folder_, R"(
import h5py, json, sys
with h5py.File(sys.argv[1], "r") as f:
    assert f["features"].shape == (3, 2) and f["features"].dtype == "float32"
    assert f["categories"].dtype == "int32" and list(f["labels"]) == [0, 1, 0]
    assert json.loads(bytes(f["columns"][()]))["classes"] == ["no", "yes"]
)",
                         out_));
}

TEST_F(TableTest, NamesTheLineOfWhatIsWrong) {
  EXPECT_THAT(import_error("a,y\n1,0\n1,2,3\n"), HasSubstr("t.csv:3: 3 cells, expected 2"));
  EXPECT_THAT(import_error("a,y\n1,0\n,1\n1,1\n"), HasSubstr("t.csv:3: no value in column \"a\""));
  EXPECT_THAT(import_error("a,y\n1,0\n2,\n"), HasSubstr("t.csv:3: the label"));
  EXPECT_THAT(import_error("a,y\n1,0\n2,0\n"), HasSubstr("every row has the label \"0\""));
  EXPECT_THAT(import_error("a,y\n"), HasSubstr("no rows"));
  EXPECT_THAT(import_error("y\n1\n0\n"), HasSubstr("no column beside the label"));
  EXPECT_THAT(import_error("a,a,y\n1,1,0\n"), HasSubstr("two columns are named \"a\""));
  EXPECT_THAT(import_error("a,b\n1,1\n"), HasSubstr("no column \"y\"; there are: a, b"));
  options_.numeric = {"a"};
  EXPECT_THAT(import_error("a,y\n1,0\nx,1\n"),
              HasSubstr("t.csv:3: \"x\" in the numeric column \"a\""));
  EXPECT_THAT(import_error("a,y\n1,0\ninf,1\n"), HasSubstr("t.csv:3: \"inf\""));
  EXPECT_THAT(import_error("a,y\n1,0\n1e39,1\n"), HasSubstr("t.csv:3: \"1e39\""));
  options_.ignored = {"a"};
  EXPECT_THAT(import_error("a,y\n1,0\n", ExitCode::kUsage), HasSubstr("two roles"));
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(TableTest, FillsMissingValuesWhereAsked) {
  options_.missing = MissingValues::kFill;
  options_.validation = 0;
  import("a,b,y\n1,p,0\nNA,,1\n3,q,1\n");
  const TableDataset set = TableDataset::open(out_);
  EXPECT_EQ(set.feature(1, 0), 2.0F);
  EXPECT_EQ(set.category(1, 0), 0);
}

TEST_F(TableTest, SortsNumericClassesAsNumbers) {
  options_.validation = 0;
  import("a,y\n1,10\n2,9\n3,-1\n");
  EXPECT_THAT(TableDataset::open(out_).header().classes, ElementsAre("-1", "9", "10"));
}

TEST_F(TableTest, TheLoaderStandardisesAndShiftsCategories) {
  options_.categorical = {"code"};
  import(kSmall);
  const auto set = std::make_shared<TableDataset>(TableDataset::open(out_));
  TableLoaderOptions sequential;
  sequential.order = SampleOrder::kSequential;
  const TableLoader loader({{set}}, sequential);
  auto memory = loader.make_memory(4);
  loader.fill(memory.batch(), 0, 4);
  const TableBatch& batch = memory.batch();
  EXPECT_EQ(batch.counted, 3);
  const float unit = std::sqrt(2.0F / 3);
  EXPECT_THAT(batch.features,
              ElementsAre(testing::FloatEq(-1 / unit), 0, testing::FloatEq(1 / unit), 0));
  // The second column's ids begin behind the 3 of the first (unknown, de, fr).
  EXPECT_THAT(batch.categories, ElementsAre(1, 4, 2, 5, 1, 4, 0, 3));
  EXPECT_THAT(batch.labels, ElementsAre(0, 1, 0, -1));

  const TableLoader shuffled({{set}}, {});
  Prefetcher<TableLoader> prefetcher(shuffled, {1, 2, 4, 3}, 0);
  for (std::int64_t number = 0; number < 30; ++number) {
    shuffled.fill(memory.batch(), SampleAssignment{1, 2, 4, 3}.first_sample(number / 3, number % 3),
                  4);
    const TableBatch& ahead = prefetcher.next();
    EXPECT_TRUE(std::ranges::equal(ahead.features, batch.features));
    EXPECT_TRUE(std::ranges::equal(ahead.labels, batch.labels));
    EXPECT_EQ(ahead.counted, 4);
  }
}

TEST_F(TableTest, RefusesNumbersThatAreNotFinite) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    const TableHeader header{{"p", "q"}, {}, "y", {"0", "1"}, {0, 0}, {1, 1}, "", ""};
    write_table_dataset(out_, header, {{1, 2, 3, bad}, {}, {0, 1}});
    EXPECT_THAT(error_of(ExitCode::kBadData, [&] { TableDataset::open(out_); }),
                HasSubstr("in row 1, column 1 (\"q\")"));
  }
}

TEST_F(TableTest, RefusesLabelsAndCategoriesOutOfRange) {
  const TableHeader header{{}, {{"c", {"u"}}}, "y", {"0", "1"}, {}, {}, "", ""};
  write_table_dataset(out_, header, {{}, {0, 1}, {0, 2}});
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { TableDataset::open(out_); }),
              HasSubstr("/labels is 2 in row 1, expected 0 to 1"));
  write_table_dataset(out_, header, {{}, {0, -1}, {0, 1}});
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { TableDataset::open(out_); }),
              HasSubstr("/categories is -1 in row 1, column \"c\""));
}

TEST_F(TableTest, RefusesTablesThatDoNotFitTogether) {
  const TableHeader one{{"p"}, {}, "y", {"0", "1"}, {0}, {1}, "", ""};
  TableHeader other = one;
  other.classes = {"a", "b"};
  write_table_dataset(folder_.file("1.h5"), one, {{1}, {}, {0}});
  write_table_dataset(folder_.file("2.h5"), other, {{1}, {}, {0}});
  write_table_dataset(folder_.file("3.h5"), one, {});
  const auto open = [&](const char* name) {
    return std::make_shared<TableDataset>(TableDataset::open(folder_.file(name)));
  };
  const auto first = open("1.h5");
  EXPECT_THAT(error_of(ExitCode::kBadData,
                       [&] {
                         TableLoader({{first}, {open("2.h5")}}, {});
                       }),
              HasSubstr("other classes"));
  EXPECT_THAT(error_of(ExitCode::kBadData, [&] { TableLoader({{open("3.h5")}}, {}); }),
              HasSubstr("no rows"));
}

TEST_F(TableTest, InspectShowsColumnsAndBalance) {
  import(kSmall);
  const std::string report = inspect_dataset(out_);
  EXPECT_THAT(report, HasSubstr("rows             3"));
  EXPECT_THAT(report, HasSubstr("amount"));
  EXPECT_THAT(report, HasSubstr("de, fr"));
  EXPECT_THAT(report, HasSubstr("66.667"));
}

}  // namespace
}  // namespace ingot

#pragma once
// The Python programs in src/main/python, which this program carries.

namespace samovar {

const char* ExportModelScript();  // export_model.py
const char* ParquetRowsScript();  // parquet_rows.py

}  // namespace samovar

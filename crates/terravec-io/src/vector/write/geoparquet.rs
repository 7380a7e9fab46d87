//! GeoParquet 1.1 as tables of embeddings want it: ZSTD, row groups by rows and bytes, no statistics or dictionary on
//! vectors and geometry, a `geo` footer with bounds, and the Arrow schema, which alone keeps a vector's length.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use geo_types::{Coord, Geometry};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowSchemaConverter, ArrowWriter, encode_arrow_schema};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use serde_json::{Value, json};

use super::{Out, Sink, TableSpec, bytes_of, geometries};
use crate::vector::wkb;

/// Rows of a row group: the most at which readers still skip usefully by place.
const GROUP_ROWS: usize = 50_000;
/// Bytes of a row group, as geoembeddings.org advises.
const GROUP_BYTES: usize = 128 << 20;
/// ZSTD level: higher ones are much slower and save little on float vectors.
const ZSTD_LEVEL: i32 = 3;

/// Bytes of a page of vectors, before compression: what one point read fetches and decodes. Pages of 64 KiB cost a scan
/// nothing that can be measured and the file two thousandths; a point read takes 5 ms instead of the 40 ms of 1 MiB.
const PAGE_BYTES: usize = 64 << 10;
/// Rows of a page of any other column.
const PAGE_ROWS: usize = 4096;

struct GeoParquet {
    /// Until the first rows tell whether boxes are wanted.
    out: Option<Out>,
    writer: Option<ArrowWriter<Out>>,
    /// The columns, with that of the boxes if there is one.
    schema: SchemaRef,
    geometry: Option<usize>,
    /// Name of the column of bounding boxes.
    covering: Option<String>,
    bounds: Bounds,
    spec: TableSpec,
}

pub(super) fn start(out: Out, schema: &SchemaRef, spec: &TableSpec) -> Result<Box<dyn Sink>, String> {
    ArrowSchemaConverter::new().convert(schema).map_err(|e| e.to_string())?;
    Ok(Box::new(GeoParquet {
        out: Some(out),
        writer: None,
        schema: schema.clone(),
        geometry: schema.index_of(&spec.geometry).ok(),
        covering: None,
        bounds: Bounds::default(),
        spec: spec.clone(),
    }))
}

impl GeoParquet {
    /// The writer, begun with the first rows: boxes beside points would only repeat them, beside other geometries they
    /// tell where these are.
    fn writer(&mut self) -> Result<&mut ArrowWriter<Out>, String> {
        if let Some(out) = self.out.take() {
            let wanted = self.spec.covering || self.bounds.kinds.iter().any(|kind| *kind != "Point");
            if let Some(i) = self.geometry.filter(|_| wanted) {
                self.add_boxes(i);
            }
            // The Arrow schema goes into the footer at the end, when its metadata are known.
            let options = ArrowWriterOptions::new()
                .with_properties(properties(&self.schema, &self.spec)?)
                .with_skip_arrow_metadata(true);
            let writer = ArrowWriter::try_new_with_options(out, self.schema.clone(), options);
            self.writer = Some(writer.map_err(|e| e.to_string())?);
        }
        self.writer.as_mut().ok_or_else(|| "the table could not be begun".into())
    }

    fn add_boxes(&mut self, geometry: usize) {
        let mut name = "bbox".to_string();
        while self.schema.index_of(&name).is_ok() {
            name.push('_');
        }
        let nullable = self.schema.field(geometry).is_nullable();
        let mut fields: Vec<Arc<Field>> = self.schema.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(&name, DataType::Struct(corner_fields()), nullable)));
        self.schema = Arc::new(Schema::new(fields));
        self.covering = Some(name);
    }
}

fn properties(schema: &Schema, spec: &TableSpec) -> Result<WriterProperties, String> {
    let zstd = ZstdLevel::try_new(ZSTD_LEVEL).map_err(|e| e.to_string())?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_max_row_group_row_count(Some(GROUP_ROWS.min(GROUP_BYTES / vector_bytes(schema)).max(1)))
        .set_max_row_group_bytes(Some(GROUP_BYTES));
    for field in schema.fields() {
        properties = vector_properties(properties, field);
    }
    if schema.index_of(&spec.geometry).is_ok() {
        properties = opaque(properties, &ColumnPath::from(spec.geometry.as_str()));
    }
    Ok(properties.build())
}

/// Bytes of the vectors of a row, before compression; at least 1.
fn vector_bytes(schema: &Schema) -> usize {
    let width = |field: &Arc<Field>| match field.data_type() {
        DataType::FixedSizeList(item, n) => {
            usize::try_from(*n).unwrap_or(0).saturating_mul(item.data_type().primitive_width().unwrap_or(1))
        }
        _ => 0,
    };
    schema.fields().iter().map(width).fold(0, usize::saturating_add).max(1)
}

/// No least and greatest value, no dictionary: neither helps to find anything.
fn opaque(properties: WriterPropertiesBuilder, leaf: &ColumnPath) -> WriterPropertiesBuilder {
    properties
        .set_column_dictionary_enabled(leaf.clone(), false)
        .set_column_statistics_enabled(leaf.clone(), EnabledStatistics::None)
}

/// Numbers stay plain: byte stream splits make float32 vectors of a model 12 % smaller (Clay: 0.79 of the raw bytes
/// instead of 0.90), but those of a quantised product 77 % larger (AlphaEarth: 0.54 instead of 0.31).
fn vector_properties(properties: WriterPropertiesBuilder, field: &Field) -> WriterPropertiesBuilder {
    let (DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item)) =
        field.data_type()
    else {
        return properties;
    };
    if !item.data_type().is_numeric() {
        return properties;
    }
    let leaf = ColumnPath::from(vec![field.name().clone(), "list".into(), item.name().clone()]);
    opaque(properties, &leaf).set_column_data_page_size_limit(leaf, PAGE_BYTES)
}

impl Sink for GeoParquet {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), String> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut columns = batch.columns().to_vec();
        let boxes = match self.geometry {
            Some(i) => self.bounds.add(&geometries(&columns[i])?)?,
            None => Vec::new(),
        };
        self.writer()?;
        if self.covering.is_some() {
            columns.push(corners(&boxes)?);
        }
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(|e| e.to_string())?;
        self.writer()?.write(&batch).map_err(|e| e.to_string())
    }

    fn finish(mut self: Box<Self>) -> Result<(), String> {
        self.writer()?;
        let mut keys = self.spec.metadata.clone();
        if self.geometry.is_some() {
            let geo = self.bounds.geo(&self.spec.geometry, self.covering.as_deref());
            keys.push(("geo".into(), geo.to_string()));
        }
        // Arrow's C++ reader, and so pyarrow and geopandas, shows only the keys that the Arrow schema repeats.
        let schema = self.schema.as_ref().clone().with_metadata(keys.iter().cloned().collect());
        keys.push((ARROW_SCHEMA_META_KEY.into(), encode_arrow_schema(&schema)));
        let mut writer = self.writer.ok_or("the table could not be begun")?;
        for (key, value) in keys {
            writer.append_key_value_metadata(KeyValue::new(key, value));
        }
        super::flush(writer.into_inner().map_err(|e| e.to_string())?)
    }
}

/// West, south, east, north.
type Corners = [f64; 4];

fn corner_fields() -> Fields {
    ["xmin", "ymin", "xmax", "ymax"].map(|n| Field::new(n, DataType::Float64, false)).to_vec().into()
}

/// Boxes as a struct column.
fn corners(boxes: &[Option<Corners>]) -> Result<ArrayRef, String> {
    let valid: NullBuffer = boxes.iter().map(Option::is_some).collect::<Vec<bool>>().into();
    let axis = |i: usize| -> ArrayRef {
        Arc::new(
            boxes
                .iter()
                .map(|b| b.map_or(0.0, |b| b[i]))
                .collect::<Vec<f64>>()
                .into_iter()
                .collect::<Float64Array>(),
        )
    };
    let nulls = (valid.null_count() > 0).then_some(valid);
    let array = StructArray::try_new(corner_fields(), (0..4).map(axis).collect(), nulls)
        .map_err(|e| e.to_string())?;
    Ok(Arc::new(array))
}

/// Bounds and kinds of the geometries written.
#[derive(Default)]
struct Bounds {
    all: Option<Corners>,
    kinds: BTreeSet<&'static str>,
}

fn joined(a: Option<Corners>, b: Corners) -> Corners {
    let a = a.unwrap_or(b);
    [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
}

impl Bounds {
    /// Takes in a column and returns the box of each row; a row without a finite coordinate has none.
    fn add(&mut self, column: &ArrayRef) -> Result<Vec<Option<Corners>>, String> {
        let mut boxes = Vec::with_capacity(column.len());
        for row in 0..column.len() {
            let Some(bytes) = bytes_of(column, row) else {
                boxes.push(None);
                continue;
            };
            let geometry = wkb::read(bytes).map_err(|e| format!("row {}: {e}", row + 1))?;
            let mut own = None;
            let mut take = |c: &Coord<f64>| {
                if c.x.is_finite() && c.y.is_finite() {
                    own = Some(joined(own, [c.x, c.y, c.x, c.y]));
                }
            };
            self.kinds.insert(match &geometry {
                Geometry::Point(p) => {
                    take(&p.0);
                    "Point"
                }
                Geometry::MultiPoint(m) => {
                    m.0.iter().for_each(|p| take(&p.0));
                    "MultiPoint"
                }
                Geometry::Polygon(p) => {
                    p.exterior().0.iter().for_each(take);
                    "Polygon"
                }
                Geometry::MultiPolygon(m) => {
                    m.0.iter().flat_map(|p| &p.exterior().0).for_each(take);
                    "MultiPolygon"
                }
                _ => return Err(format!("row {}: only points and polygons can be written", row + 1)),
            });
            if let Some(own) = own {
                self.all = Some(joined(self.all, own));
            }
            boxes.push(own);
        }
        Ok(boxes)
    }

    /// The `geo` footer; without `crs`, coordinates are OGC:CRS84.
    fn geo(&self, geometry: &str, covering: Option<&str>) -> Value {
        let mut column = json!({ "encoding": "WKB", "geometry_types": self.kinds });
        if let Some(b) = self.all {
            column["bbox"] = json!(b);
        }
        if let Some(name) = covering {
            let corner = |c: &str| json!([name, c]);
            column["covering"] = json!({ "bbox": {
                "xmin": corner("xmin"), "ymin": corner("ymin"), "xmax": corner("xmax"), "ymax": corner("ymax")
            }});
        }
        json!({ "version": "1.1.0", "primary_column": geometry, "columns": { geometry: column } })
    }
}

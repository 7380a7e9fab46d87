#!/usr/bin/env bash
# The main job on bundled real data: from a product's files to right vectors in the formats people use.
# Run by `make demo`, which builds the command first.
set -euo pipefail
cd "$(dirname "$0")/.."
TERRAVEC=${TERRAVEC:-terravec}
OUT=demo-output
rm -rf "$OUT"
mkdir -p "$OUT"

step() {
    printf '\n# %s\n' "$1"
}
run() {
    printf '$ terravec %s\n' "$*"
    "$TERRAVEC" "$@"
}

step "The products terravec knows"
run products

step "What a folder of AlphaEarth tiles holds (real data, Wisconsin 2024, rows stored south first)"
run info alphaearth=testdata/alphaearth/gcs

step "Vectors at 2,880 labelled points in four regions: the labels stay beside the vectors"
run sample alphaearth=testdata/alphaearth/labelled \
    --points testdata/alphaearth/labelled/labelled_points.parquet --year 2024 -o "$OUT/labelled.parquet"

step "One point, printed"
run sample alphaearth=testdata/alphaearth/wisconsin --points -88.768,44.295 --year 2024

step "A window as a cloud-optimised GeoTIFF and as a picture"
run extract alphaearth=testdata/alphaearth/gcs --bbox -88.7747,44.2903,-88.7627,44.2989 --year 2024 \
    -o "$OUT/wisconsin.tif"
run extract alphaearth=testdata/alphaearth/gcs --bbox -88.7747,44.2903,-88.7627,44.2989 --year 2024 \
    -o "$OUT/wisconsin.png"

step "A field's own mean vector (decoded, averaged, back to unit length)"
run extract alphaearth=testdata/alphaearth/wisconsin --region testdata/regions/wisconsin_field.geojson \
    --year 2024 --reduce mean -o "$OUT/field.parquet"

step "A table of patches opens the same way (real Clay vectors): the patch that contains a place"
run sample clay-v0=testdata/patch/clay_v0_03WVN_60.gpq --points=-166.15,65.72

step "Its rows in a box, as GeoParquet for tables of embeddings"
run extract clay-v0=testdata/patch/clay_v0_03WVN_60.gpq --bbox -166.5,65.6,-165.5,65.75 -o "$OUT/patches.parquet"

step "Several products at the same labelled points, each in columns of its own"
run sample alphaearth=testdata/alphaearth/labelled spherical-harmonics \
    --points testdata/alphaearth/labelled/labelled_points.parquet -o "$OUT/joined.parquet"

step "From labels to a land-cover map: learn from points in four regions (Dynamic World classes), map Wisconsin"
run classify fit alphaearth=testdata/alphaearth/labelled \
    --labels testdata/alphaearth/labelled/labelled_points.parquet --column dw_class --group region --learner knn \
    --colours testdata/legends/dynamic_world.json -o "$OUT/land.json"
run classify predict alphaearth=testdata/alphaearth/wisconsin --model "$OUT/land.json" --year 2024 \
    -o "$OUT/land.tif" --picture "$OUT/land.png" --polygons "$OUT/land.parquet"

step "From one place to its 20 most similar, among all pixels, and a map of the similarity"
run search alphaearth=testdata/alphaearth/gcs --like -88.768,44.295 --year 2024 -k 20 --exclude-self \
    --map "$OUT/similar.png" -o "$OUT/similar.geojson"

step "The same among labelled places: most have the class of the first, which is water"
run search testdata/alphaearth/labelled/labelled_vectors.parquet --like=-59.652,-3.131 -k 20 --exclude-self -o "$OUT/similar.csv"

step "Clusters of the field's pixels, and a picture by principal components that any other area can share"
run cluster alphaearth=testdata/alphaearth/wisconsin --year 2024 -k 6 -o "$OUT/clusters.png"
run pca alphaearth=testdata/alphaearth/wisconsin --year 2024 --save "$OUT/basis.json" -o "$OUT/colours.png"

step "Written"
for file in "$OUT"/*; do
    printf '%8d bytes  %s\n' "$(wc -c <"$file")" "$PWD/$file"
done
printf '\nThe AlphaEarth Foundations Satellite Embedding dataset is produced by Google and Google DeepMind.\n'
printf 'Land cover classes: Dynamic World, by Google in partnership with National Geographic Society and the World Resources Institute.\n'

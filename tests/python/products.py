"""The products the tests open, by the catalogue's names."""

ALPHAEARTH = "alphaearth"
MAJORTOM_ALPHAEARTH = "alphaearth-majortom"
TESSERA = "tessera"
PRESTO = "presto-togo"
ESD = "esd"
COPERNICUS = "copernicus-embed"
OLMOEARTH = "olmoearth"

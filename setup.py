"""callbeam's metadata and dependencies: the one place for both."""

from pathlib import Path

from setuptools import find_packages, setup

REQUIRES = [
    "apache-beam==2.77.*",  # a private hook of this version runs live sources in process
    "adbc-driver-manager>=1.11,<2",
    "adbc-driver-sqlite>=1.11,<2",
    "cryptography>=42",  # no upper end: apache-beam has one
    "numpy>=2.0,<3",
    "phonenumbers>=9.0,<10",
    "polars>=2.1,<3",
    "pyarrow>=20",
    "scikit-learn>=1.6,<2",
    "sqlalchemy>=2.1,<3",
    "tqdm>=4.66,<5",
    "tzdata>=2025.1",
    "bootstrap-flask>=2.6,<3",
    "django-js-lib-htmx==2.0.3.1",
    "flask>=3.1,<4",
    "flask-login>=0.6.3,<0.7",
    "flask-smorest>=0.47,<0.48",
    "flask-swagger-ui>=5.34,<6",
    "flask-wtf>=1.3,<2",
    "geo-intel-offline>=1.5,<2",
    "marshmallow>=4,<5",
    "plotly>=7.1,<8",
    "prometheus-client>=0.21,<1",
    "waitress>=3.0.2,<4",
    "wtforms>=3.2,<4",
]
GCP = ["apache-beam[gcp]==2.77.*", "google-cloud-pubsub>=2.30,<3"]
KAFKA = ["confluent-kafka>=2.10,<3"]
POSTGRES = ["psycopg[binary]>=3.2,<4"]
DEV = [
    "axe-playwright-python>=0.1.4,<0.2",
    "duckdb>=2,<3",
    "hypothesis>=6.130,<7",
    "jsonschema>=4,<5",
    "mypy>=2,<3",
    "playwright>=1.50,<2",
    "pytest>=9,<10",
    "pytest-timeout>=2.4,<3",
    "pytest-xdist>=3.6,<4",
    "ruff>=0.15,<1",
    "schemathesis>=4,<5",
]

setup(
    name="callbeam",
    version="0.1.0",
    description="Turns call detail records into analyses and promotions with Apache Beam",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11,<3.14",
    packages=find_packages(
        include=["pipelines", "pipelines.*", "transforms", "transforms.*", "webui", "webui.*"]
    )
    + find_packages("io"),
    package_dir={"callbeam_io": "io/callbeam_io"},
    package_data={
        "pipelines": ["py.typed"],
        "transforms": ["py.typed"],
        "callbeam_io": ["py.typed", "formats/*.json"],
        "webui": ["py.typed", "templates/*", "templates/**/*", "static/*", "static/**/*"],
    },
    install_requires=REQUIRES,
    extras_require={"gcp": GCP, "kafka": KAFKA, "postgres": POSTGRES, "dev": DEV},
    entry_points={"console_scripts": ["callbeam=pipelines.cli:main"]},
)

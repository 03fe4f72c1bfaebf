"""Live sources on Beam's BundleBasedDirectRunner: in process, nothing to install, with a true watermark.

That runner cannot run splittable DoFns, which is what an `UnboundedSource` is elsewhere. A private hook of
Beam (``TransformEvaluatorRegistry``) lets a transform of ours poll a source whenever the runner asks for its
next bundle, which also gives back pressure. The version of Beam is pinned for it, and a test watches it.
"""

from __future__ import annotations

import time
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.io.unbounded_source import UnboundedReader, UnboundedSource
from apache_beam.runners.direct.transform_evaluator import TransformEvaluatorRegistry, _TransformEvaluator
from apache_beam.runners.direct.util import TransformResult
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.timestamp import MAX_TIMESTAMP

_PAUSE = 0.005
_READERS: dict[str, UnboundedReader] = {}  # the runner copies transforms; readers live in the process


class LocalRead(beam.PTransform):
    """``Pipeline -> PCollection`` of a source's elements.

    Args:
        source: an unbounded source that is not split.
        key: tells readers of this process apart.
        output_type: of the elements.
    """

    def __init__(self, source: UnboundedSource, key: str, output_type: type) -> None:
        super().__init__()
        self.source, self.key, self.output_type = source, key, output_type

    def expand(self, pbegin: beam.Pipeline) -> beam.PCollection[Any]:
        """An unbounded collection."""
        out = pvalue.PCollection(pbegin.pipeline, is_bounded=False)
        out.element_type = self.output_type
        return out

    def get_windowing(self, inputs: Any) -> beam.Windowing:
        """The global window."""
        return beam.Windowing(GlobalWindows())


class _LocalReadEvaluator(_TransformEvaluator):
    def process_element(self, element: Any) -> None:
        """There is none: the root's bundles are empty."""

    def finish_bundle(self) -> TransformResult:
        """One element at most, the watermark, and a bundle to ask again with."""
        transform = self._applied_ptransform.transform
        reader = _READERS.get(transform.key)
        if reader is None:
            reader = _READERS[transform.key] = transform.source.create_reader(None, None)
            has_element = reader.start()
        else:
            has_element = reader.advance()
        watermark = reader.get_watermark()
        bundles = []
        if has_element:
            bundle = self._evaluation_context.create_bundle(next(iter(self._outputs)))
            stamp = reader.get_current_timestamp()
            bundle.output(GlobalWindows.windowed_value(reader.get_current(), timestamp=stamp))
            bundles = [bundle]
        elif watermark < MAX_TIMESTAMP:
            time.sleep(_PAUSE)
        if watermark >= MAX_TIMESTAMP:
            del _READERS[transform.key]  # the same run may be taken up again in this process
            return TransformResult(self, bundles, [], None, {None: MAX_TIMESTAMP})
        again = self._evaluation_context.create_bundle(
            pvalue.PBegin(self._applied_ptransform.transform.pipeline)
        )
        return TransformResult(self, bundles, [again], None, {None: watermark})


TransformEvaluatorRegistry._test_evaluators_overrides[LocalRead] = _LocalReadEvaluator

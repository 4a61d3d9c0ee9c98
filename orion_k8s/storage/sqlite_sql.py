"""Pieces of SQL that several statements share."""

from __future__ import annotations

from orion_k8s.storage.base import STORY_LIMIT

KEY = "(SELECT key FROM experiments WHERE id = ?)"
"""The key of an experiment; one parameter, its id."""

STORY = f"""story = json_insert(
    CASE WHEN json_array_length(story) < {STORY_LIMIT} THEN story
        ELSE json_remove(story, '$[0]') END,
    '$[#]',
    json_object('attempt', attempt, 'worker', worker, 'status', :status, 'reason', :reason,
        'time', :now))"""
"""Appends to the story: the parameters are :status, :reason and :now."""

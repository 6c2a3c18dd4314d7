"""Drawings of trees and graphs."""

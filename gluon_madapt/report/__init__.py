"""What a run left -> pictures, and a page that can be looked at."""

//! How many seats a list takes, by what it brings into memory at once.
//!
//! Source: apiserver `util/flowcontrol/request/list_work_estimator.go`, `seatsBasedOnObjectSize`, for what is in memory.

/// Bytes for which one seat is taken. Source: `bytesPerSeat`.
const BYTES_A_SEAT: u64 = 100_000;
/// What a list takes at most, for it is made piece by piece. Source: `cacheWithStreamingMaxMemoryUsage`.
const BYTES_MAX: u64 = 1_000_000;

/// Seats of a list of no more than `limit` objects, 0 being no limit, of a resource with so many of so many bytes.
pub fn list(objects: u64, bytes: u64, limit: u64) -> u32 {
    let brought = match limit {
        0 => objects,
        limit => objects.min(limit),
    };
    let average = bytes.checked_div(objects).unwrap_or_default();
    let seats = brought
        .saturating_mul(average)
        .min(BYTES_MAX)
        .div_ceil(BYTES_A_SEAT);
    u32::try_from(seats.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_takes_a_seat_for_each_hundred_kilobytes_and_ten_at_most() {
        assert_eq!(list(0, 0, 0), 1);
        assert_eq!(list(100, 100_000, 0), 1);
        assert_eq!(list(100, 400_000, 0), 4);
        assert_eq!(list(100, 400_000, 50), 2);
        assert_eq!(list(100, 400_000, 1000), 4);
        assert_eq!(list(u64::MAX, u64::MAX, 0), 10);
    }
}

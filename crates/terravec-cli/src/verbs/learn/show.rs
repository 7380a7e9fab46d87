//! Figures for people.

use terravec_analysis::assess::{Assessment, FewShot, Figures};

/// All ways to make folds, and the classes of the last, which is the sternest.
pub(super) fn assessments(all: &[Assessment]) {
    for a in all {
        let between =
            a.interval.map_or_else(String::new, |i| format!(" (95 %: {:.3} to {:.3})", i.low, i.high));
        match &a.pooled {
            Figures::Classes(m) => {
                println!(
                    "{}: accuracy {:.3}{between}, balanced {:.3}, macro-F1 {:.3}{}",
                    a.folds,
                    m.accuracy,
                    m.balanced_accuracy,
                    m.macro_f1,
                    a.calibration_error.map_or_else(String::new, |e| format!(", calibration error {e:.3}"))
                );
            }
            Figures::Values(m) => println!(
                "{}: R² {:.3}{between}, RMSE {:.4}, MAE {:.4}, bias {:.4}",
                a.folds, m.r2, m.rmse, m.mae, m.bias
            ),
        }
        if a.per_fold.iter().any(|f| f.name.parse::<u32>().is_err()) {
            let parts: Vec<String> =
                a.per_fold.iter().map(|f| format!("{} {:.3}", f.name, f.score)).collect();
            println!("  {}", parts.join(", "));
        }
        for fold in a.per_fold.iter().filter(|f| !f.unseen.is_empty()) {
            println!("  without {}, no label of {} is left to learn from", fold.name, fold.unseen.join(", "));
        }
        if !a.skipped.is_empty() {
            println!("  not held out, as one class alone would remain: {}", a.skipped.join(", "));
        }
    }
    let Some(Figures::Classes(m)) = all.last().map(|a| &a.pooled) else { return };
    let width = m.classes.iter().map(|c| c.name.chars().count()).max().unwrap_or(0).max(5);
    println!("{:<width$}  labels  precision  recall     F1", "class");
    for c in &m.classes {
        println!("{:<width$}  {:>6}  {:>9.3}  {:>6.3}  {:>5.3}", c.name, c.rows, c.precision, c.recall, c.f1);
    }
    if all.len() > 1 {
        println!("Random folds tell how good a map is beside its labels; the other figures, elsewhere.");
    }
}

pub(super) fn few(all: &[FewShot]) {
    for f in all {
        println!(
            "{} labels per class, {} times: balanced accuracy {:.3} ± {:.3}",
            f.per_class, f.trials, f.balanced_accuracy, f.standard_error
        );
    }
}

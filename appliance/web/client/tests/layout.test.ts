import { describe, expect, test } from 'vitest';
import { gridFor, initials, seenBy, videosToShow, type Looking } from '../src/lib/layout';
import { person, state } from './fixtures';

describe('the grid', () => {
  test('holds a class of thirty-one on one page of a laptop', () => {
    const grid = gridFor(31, 1264, 560, 8);
    expect(grid.pages).toBe(1);
    expect(grid.columns * grid.rows).toBeGreaterThanOrEqual(31);
    expect(grid.width).toBeGreaterThanOrEqual(140);
  });

  test('never is wider or higher than its place', () => {
    for (const [width, height] of [[304, 380], [768, 500], [1264, 560], [1900, 900]] as const) {
      for (const count of [1, 2, 5, 12, 30, 60]) {
        const { columns, rows, width: tile, height: high } = gridFor(count, width, height, 8);
        expect(columns * tile + (columns - 1) * 8).toBeLessThanOrEqual(width);
        expect(rows * high + (rows - 1) * 8).toBeLessThanOrEqual(height);
      }
    }
  });

  test('turns pages on a phone, two tiles in a row', () => {
    const grid = gridFor(31, 304, 370, 8);
    expect(grid.columns).toBe(2);
    expect(grid.pages).toBe(Math.ceil(31 / grid.pageSize));
  });

  test('gives one person all the room', () => {
    expect(gridFor(1, 1600, 900, 8)).toMatchObject({ columns: 1, width: 1600, height: 900, pages: 1 });
  });
});

describe('what a participant sees', () => {
  const { layout } = state();
  const people = [person('p1', 'teacher'), person('p2'), person('p3')];
  const student: Looking = { self: 'p3', role: 'student', layout, people, pinned: null };

  test('is the gallery, the teacher first and oneself second', () => {
    expect(seenBy(student)).toEqual({ mode: 'gallery', stage: null, page: null, tiles: ['p1', 'p3', 'p2'] });
  });

  test('is the person they enlarged, while they are there', () => {
    expect(seenBy({ ...student, pinned: 'p2' }).stage).toBe('p2');
    expect(seenBy({ ...student, pinned: 'gone' }).stage).toBeNull();
  });

  test('is only teachers and oneself in focus', () => {
    const seen = seenBy({ ...student, layout: { ...layout, mode: 'focus' }, pinned: 'p2' });
    expect(seen).toMatchObject({ stage: 'p1', tiles: ['p1', 'p3'] });
  });

  test('is everybody for the teacher who set the focus', () => {
    const seen = seenBy({ ...student, self: 'p1', role: 'teacher', layout: { ...layout, mode: 'focus' } });
    expect(seen).toMatchObject({ stage: null, tiles: ['p1', 'p2', 'p3'] });
  });

  test('is the spotlight before an own choice', () => {
    const spotlit = { ...layout, mode: 'spotlight', spotlight: 'p2' } as const;
    expect(seenBy({ ...student, layout: spotlit, pinned: 'p1' }).stage).toBe('p2');
  });

  test('is what the teacher sees while the class follows, page and all', () => {
    const led = { ...layout, follow: true, followed: { mode: 'gallery', spotlight: null, page: 2 } } as const;
    expect(seenBy({ ...student, layout: led, pinned: 'p2' })).toMatchObject({ stage: null, page: 2 });
    const stage = { ...led, followed: { mode: 'spotlight', spotlight: 'p2', page: 0 } } as const;
    expect(seenBy({ ...student, layout: stage }).stage).toBe('p2');
  });
});

describe('whose video is decoded', () => {
  const candidates = ['p1', 'p2', 'p3', 'p4', 'p5', 'p6'];
  const choice = { candidates, first: ['p1'], speakers: [], shown: [], limit: 4 };

  test('is no more than the limit, the teacher always', () => {
    expect([...videosToShow({ ...choice, first: ['p6'] })]).toEqual(['p6', 'p1', 'p2', 'p3']);
  });

  test('goes to who speaks and else stays as it is', () => {
    const chosen = videosToShow({ ...choice, speakers: ['p5'], shown: ['p1', 'p3', 'p4', 'p6'] });
    expect([...chosen]).toEqual(['p1', 'p5', 'p3', 'p4']);
  });

  test('is nobody whose camera is off or who is on another page', () => {
    expect([...videosToShow({ ...choice, candidates: ['p2'], speakers: ['p9'], shown: ['p8'] })]).toEqual(['p2']);
  });
});

test('initials are the first letters of the first and last word', () => {
  expect(initials('Ana María López')).toBe('AL');
  expect(initials('Søren')).toBe('S');
  expect(initials('   ')).toBe('?');
});
